//! The near cache of a database: a connection that tracks what is read on it, kept alive by a task.
//!
//! - this file: the task, which a cached handle starts · `sink`: what the server says on the connection
//!
//! What is kept, and why it is never too old, is in `state/near_cache`; reads go through `call/near`.

mod sink;

use std::{
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, SeqCst},
    },
    time::Duration,
};

use redis::cmd;
use tokio::time::{sleep, timeout};

use self::sink::Invalidations;
use crate::{
    call::{CallEngine, Overrides},
    config::Protocol,
    error::Error,
    messages::Grant,
    net::put_question,
    policy::gate_state::GateState,
    state::{NearCache, Tracking, clock},
};

/// The connection is asked so often whether it is alive.
const INTERVAL: Duration = Duration::from_secs(1);
/// The pauses before another connection is tried.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// The same where the server refuses to track.
const LONG_PAUSE: Duration = Duration::from_secs(30);

/// Why a connection is not used any more.
enum End {
    /// It is lost, or leads to another place than the database.
    Lost,
    /// It does not answer.
    Silent,
}

/// Why there is no connection that tracks.
enum Trouble {
    /// It may be over soon.
    Passing(String),
    /// The server cannot track, or does not permit it.
    Refused(String),
}

/// A cache that is to be kept alive.
pub(crate) struct Keeping {
    engine: CallEngine,
    cache: Kept,
}

/// If the task ends early, the next handle starts another.
struct Kept(Arc<NearCache>);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.is_kept.store(false, SeqCst);
    }
}

impl Keeping {
    /// Keeps the cache of a database alive; `None` if a task does so already.
    pub(crate) fn of(engine: &CallEngine) -> Option<Self> {
        let cache = engine.state.near_cache();
        // Mostly it does, and then nothing is written.
        let is_kept = cache.is_kept.load(Relaxed) || cache.is_kept.swap(true, SeqCst);
        (!is_kept).then(|| Self {
            engine: engine.clone(),
            cache: Kept(cache.clone()),
        })
    }

    /// Ends with the database.
    pub(crate) async fn run(self) {
        // It may become a cluster, or one server again.
        while !self.engine.state.gate.state().is_final() {
            if is_cluster(&self.engine) {
                keep_nodes(&self.engine).await;
            } else {
                self.keep().await;
            }
        }
    }

    /// Ends with the database, or when it becomes a cluster.
    async fn keep(&self) {
        let (engine, cache) = (&self.engine, &self.cache.0);
        let mut pause = FIRST_PAUSE;
        loop {
            let gate_state = engine.state.gate.state();
            if gate_state.is_final() || is_cluster(engine) {
                return;
            }
            if gate_state == GateState::Free {
                match track(engine, cache).await {
                    Ok((grant, life)) => {
                        cache.trouble.store(None);
                        let end = watch(engine, cache, &grant, life).await;
                        cache.end(life);
                        drop(grant);
                        pause = match end {
                            End::Lost => FIRST_PAUSE,
                            End::Silent => LAST_PAUSE,
                        };
                        // Not cut short by what has ended it.
                        sleep(spread(pause)).await;
                        continue;
                    }
                    Err(Trouble::Passing(why)) => cache.trouble.store(Some(Arc::new(why))),
                    Err(Trouble::Refused(why)) => {
                        cache.trouble.store(Some(Arc::new(why)));
                        pause = LONG_PAUSE;
                    }
                }
            }
            // An error says that the pause is over.
            let _ = timeout(spread(pause), cache.changed.notified()).await;
            pause = (2 * pause).min(LAST_PAUSE.max(pause));
        }
    }
}

/// Keeps the caches of all nodes of a cluster alive. That of the cluster itself stays empty.
async fn keep_nodes(engine: &CallEngine) {
    let cluster = &engine.state.cluster;
    while is_cluster(engine) && !engine.state.gate.state().is_final() {
        let table = cluster.table.present().clone();
        for node in table.iter().flat_map(|table| table.serving()) {
            let node = CallEngine::new(node.state.clone());
            if let Some(keeping) = Keeping::of(&node) {
                // Otherwise its reads go to the server.
                let keeping = async move { keeping.keep().await };
                let _ = engine.state.executor.spawn_apart(keeping);
            }
        }
        let until = clock::now() + LAST_PAUSE;
        cluster.table.next(table.as_ref(), until).await;
    }
}

fn is_cluster(engine: &CallEngine) -> bool {
    engine.state.settings.load().address.is_cluster()
}

fn spread(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + clock::jitter() / 2.0)
}

/// Opens a connection that tracks what is read on it, and begins a life of the cache.
async fn track(engine: &CallEngine, cache: &Arc<NearCache>) -> Result<(Grant, u64), Trouble> {
    let passing = |error: Error| Trouble::Passing(error.to_string());
    let refused = |error: Error| match error {
        Error::Server { .. } => Trouble::Refused(error.to_string()),
        error => passing(error),
    };
    let options = engine.options(Overrides::default());
    let life = cache.next_life();
    let mut grant = engine.acquire(options, None).await.map_err(passing)?;
    let speaks_resp2 = engine.state.settings.load().protocol == Protocol::Resp2;
    // Only RESP3 carries invalidations between the replies.
    let hello = cmd("HELLO").arg(3).take();
    let greeted = engine.execute_on(&mut grant, &hello, &options).await;
    greeted.map_err(refused)?;
    grant.listen(Box::new(Invalidations::new(cache.clone(), life)));
    let tracking = cmd("CLIENT").arg("TRACKING").arg("ON").arg("OPTIN").take();
    let asked = clock::now();
    let tracked = engine.execute_on(&mut grant, &tracking, &options).await;
    tracked.map_err(refused)?;
    let tracking = Tracking {
        life,
        mailbox: grant.mailbox().clone(),
        as_resp2: speaks_resp2,
    };
    if cache.begin(tracking, asked.into_std()) {
        Ok((grant, life))
    } else {
        Err(Trouble::Passing("the database is moving".into()))
    }
}

/// Returns when the connection cannot be trusted any more.
async fn watch(engine: &CallEngine, cache: &NearCache, grant: &Grant, life: u64) -> End {
    loop {
        // An error says that the time has come.
        let _ = timeout(INTERVAL, cache.changed.notified()).await;
        let is_over = !cache.is_alive(life) || engine.state.gate.state().is_final();
        if is_over || !grant.is_open() {
            return End::Lost;
        }
        let asked = clock::now();
        if !answers(engine, grant, asked).await {
            return End::Silent;
        }
        cache.answered(life, asked.into_std());
    }
}

async fn answers(engine: &CallEngine, grant: &Grant, asked: tokio::time::Instant) -> bool {
    let deadline = asked + engine.state.settings.load().attempt_timeout;
    let answer = put_question(grant.mailbox(), &cmd("PING"), deadline).await;
    // A refusal is an answer as well.
    matches!(answer, Some(Ok(_)))
}
