//! Goal: deadlines hold while the thread of the actors is blocked (row 82 of the fault matrix). Method: the actors
//! run on a thread of their own, with a message that blocks a pool until the test lets go.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use actix::{Addr, Context, Handler, Message};
use redis::cmd;
use tokio::{runtime::Handle, sync::oneshot, time::Instant};

use super::{pool::PoolActor, supervisor::SupervisorActor};
use crate::{
    call::{CallEngine, Overrides},
    common::{RedisServer, eventually_async},
    config::{Config, DatabaseConfig, resolve},
    error::Error,
    execution::{Execution, Stage},
    messages::{Grant, Shutdown},
    net::{Executor, SocketConnector},
    registry::Registry,
};

const SOON: Duration = Duration::from_secs(10);
/// The timeout of the calls.
const TIMEOUT: Duration = Duration::from_millis(300);
/// How late a call may end on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

/// Blocks the pool of "one", and with it all actors.
#[derive(Message)]
#[rtype(result = "()")]
struct Block {
    is_blocked: mpsc::Sender<()>,
    let_go: mpsc::Receiver<()>,
}

impl Handler<Block> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, block: Block, _: &mut Context<Self>) {
        let one = self.pools.iter().find(|(id, _)| &**id.name() == "one");
        one.expect("a pool").1.do_send(block);
    }
}

impl Handler<Block> for PoolActor {
    type Result = ();

    fn handle(&mut self, block: Block, _: &mut Context<Self>) {
        block.is_blocked.send(()).expect("the test waits for it");
        // An error means that the test lets go.
        let _ = block.let_go.recv();
    }
}

/// A supervisor with the databases "one" and "two", whose actors have a thread of their own.
struct Rig {
    server: RedisServer,
    registry: Arc<Registry>,
    supervisor: Addr<SupervisorActor>,
    actors: thread::JoinHandle<()>,
}

impl Rig {
    async fn start() -> Self {
        let server = RedisServer::start();
        // The circuit stays closed, so that calls wait.
        let database = |url| DatabaseConfig::from_url(url).failure_threshold(10_000);
        let config = Config::new()
            .database("one", database(server.url()))
            .database("two", database(server.url_with_db(1)));
        let settings = resolve(config).expect("a valid configuration");
        let executor = Executor::new(Some(Handle::current()));
        let registry = Registry::new(&settings, executor, Arc::new(SocketConnector::default()));
        let (launched, supervisor) = oneshot::channel();
        let actors = thread::spawn({
            let registry = registry.clone();
            move || {
                actix_rt::System::new().block_on(async {
                    let (sender, stopped) = oneshot::channel();
                    let supervisor = SupervisorActor::create_with(registry, sender);
                    assert!(launched.send(supervisor).is_ok(), "the test waits for it");
                    stopped.await.expect("it stops");
                });
            }
        });
        let supervisor = supervisor.await.expect("a supervisor");
        let rig = Self {
            server,
            registry,
            supervisor,
            actors,
        };
        for name in ["one", "two"] {
            let is_open = || rig.engine(name).state.pool_stats().shared == 1;
            eventually_async(SOON, "it has a connection", is_open).await;
        }
        rig
    }

    fn engine(&self, name: &str) -> CallEngine {
        let state = self.registry.databases.get(name).expect("a database");
        CallEngine::new(state.clone())
    }

    /// Blocks the actors until the result is dropped.
    async fn block(&self) -> mpsc::Sender<()> {
        let (is_blocked, blocked) = mpsc::channel();
        let (holds, let_go) = mpsc::channel();
        self.supervisor.do_send(Block { is_blocked, let_go });
        eventually_async(SOON, "they are blocked", || blocked.try_recv().is_ok()).await;
        holds
    }

    async fn ping(&self, name: &str) -> Result<(), Error> {
        let engine = self.engine(name);
        let options = engine.options(Overrides::default().with_timeout(TIMEOUT));
        engine.execute(&cmd("PING"), &options).await.map(drop)
    }

    async fn lease(&self, name: &str) -> Result<Grant, Error> {
        let engine = self.engine(name);
        let options = engine.options(Overrides::default().with_timeout(TIMEOUT));
        engine.acquire(options, None).await
    }

    async fn stop(self) {
        self.supervisor.do_send(Shutdown { grace: SOON });
        let actors = tokio::task::spawn_blocking(|| self.actors.join());
        actors.await.expect("a task").expect("no actor panicked");
    }
}

/// The call waits for its deadline, and no longer.
#[track_caller]
fn assert_in_time<T>(result: Result<T, Error>, since: Instant, expected: Stage) {
    let waited = since.elapsed();
    assert!((TIMEOUT..TIMEOUT + SLACK).contains(&waited), "{waited:?}");
    let Err(error) = result else {
        panic!("there is no connection");
    };
    assert_eq!(error.execution(), Execution::NotSent, "{error}");
    match error {
        Error::TimedOut { stage, .. } => assert_eq!(stage, expected),
        other => panic!("another error: {other}"),
    }
}

#[tokio::test]
async fn row_82_leases_and_parked_calls_end_in_time_while_the_actors_are_blocked() {
    let rig = Rig::start().await;
    // A connection could be lent at once, if the pools could do anything.
    drop(rig.lease("one").await.expect("a lease"));
    let block = rig.block().await;
    let start = Instant::now();
    let (one, two) = tokio::join!(rig.lease("one"), rig.lease("two"));
    assert_in_time(one, start, Stage::Acquire);
    assert_in_time(two, start, Stage::Acquire);
    rig.ping("one").await.expect("an open connection serves");

    rig.server.kill();
    let has_route = || rig.ping("one");
    while has_route().await.is_ok() {}
    let start = Instant::now();
    let (one, two) = tokio::join!(rig.ping("one"), rig.ping("two"));
    assert_in_time(one, start, Stage::Connect);
    assert_in_time(two, start, Stage::Connect);
    drop(block);

    // The pools have told no one twice, and lost no connection.
    rig.server.restart();
    for name in ["one", "two"] {
        let engine = rig.engine(name);
        let options = engine.options(Overrides::default().with_timeout(SOON));
        let pong = engine.execute(&cmd("PING"), &options).await;
        pong.expect("pong");
        let pool = || engine.state.pool_stats();
        eventually_async(SOON, "nothing waits", || {
            (pool().waiting, pool().parked) == (0, 0)
        })
        .await;
        drop(rig.lease(name).await.expect("a lease"));
        eventually_async(SOON, "it is back", || pool().in_use == 0).await;
    }
    rig.stop().await;
}
