//! Goal: under random use and cancellation of shared and leased connections, no reply reaches a wrong
//! caller, no caller finds the state of another, and every connection is accounted for. Method: thirty
//! callers take random steps with few connections, while connections are killed and the server
//! restarts; each value names its owner, and pool, server and kernel count the connections.
//!
//! `STEPS` sets the number of steps (10,000) and `STEPS_SEED` the seed, which is printed at the start.
//! The seed determines the choices of the callers, not their timing.

use std::{
    collections::BTreeMap,
    env,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    time::Duration,
};

use fastrand::Rng;
use redis::{Cmd, Value, cmd, pipe};
use redis_steward::{Database, DatabaseConfig, Error, HealthState, Lease, PoolStats, Supervisor};
use tokio::{
    runtime::Handle,
    task::{JoinSet, block_in_place},
};

use crate::common::{ImpatientCaller, RedisServer, eventually, eventually_async, proc, wait::poll};

const STEPS: u64 = 10_000;
const CALLERS: u64 = 30;
/// The server restarts once in each round, and after each round nothing may be in use.
const ROUNDS: u64 = 4;
const SOON: Duration = Duration::from_secs(20);
/// Connections outside the pool: a health probe, and a check whether the port accepts.
const PROBES: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_steps_lose_no_connection_and_misdirect_no_reply() {
    let seed = number("STEPS_SEED").unwrap_or_else(|| fastrand::u64(..));
    let steps = number("STEPS").unwrap_or(STEPS);
    println!("STEPS_SEED={seed} STEPS={steps}");
    let (kill, kills) = mpsc::channel();
    let rig = Rig::start(seed, kills).await;
    let mut callers: Vec<_> = (0..CALLERS)
        .map(|number| Caller::new(number, seed, &rig, kill.clone()))
        .collect();
    let in_round = steps.div_ceil(CALLERS * ROUNDS);
    for round in 0..ROUNDS {
        let half = (2 * round + 1) * in_round * CALLERS / 2;
        callers = rig.play(callers, in_round, half).await;
        rig.settle().await;
    }
    let tally = callers.iter().fold(Tally::default(), Tally::add);
    let pool = rig.pool();
    println!("{tally:?}\n{pool:?}");
    // A lease counts even if it was dropped before it reached its caller.
    assert!(pool.acquire_wait.count() >= tally.leases);
    if steps >= STEPS {
        let happened = [tally.leases, tally.cancelled, pool.lost, pool.discarded];
        assert!(happened.iter().all(|count| *count > 0), "{happened:?}");
    }
    rig.end().await;
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
    )
}

/// A server and a database.
struct Rig {
    server: RedisServer,
    supervisor: Supervisor,
    main: Database,
    /// Steps taken so far.
    taken: Arc<AtomicU64>,
    /// Requests to kill a connection, by its position in the client list.
    kills: mpsc::Receiver<usize>,
}

impl Rig {
    async fn start(seed: u64, kills: mpsc::Receiver<usize>) -> Self {
        let mut random = Rng::with_seed(seed);
        let server = RedisServer::start();
        let max = random.usize(4..=8);
        let config = DatabaseConfig::from_url(server.url())
            .max_connections(max)
            .shared_connections(1, random.usize(1..=2))
            .min_idle(random.usize(0..=3))
            .idle_timeout(Duration::from_millis(random.u64(5..500)))
            .max_lifetime(Duration::from_secs(1))
            .sweep_interval(Duration::from_millis(20))
            .command_timeout(Duration::from_secs(2))
            .acquire_timeout(Duration::from_millis(500))
            .recovery_timeout(Duration::from_millis(100));
        println!("{config:?}");
        let (supervisor, main) = crate::common::spawn(config).await;
        Self {
            server,
            supervisor,
            main,
            taken: Arc::default(),
            kills,
        }
    }

    /// Lets each caller take `steps` steps. The server restarts after `restart_at` steps in total.
    async fn play(&self, callers: Vec<Caller>, steps: u64, restart_at: u64) -> Vec<Caller> {
        let mut playing = JoinSet::new();
        for caller in callers {
            let runtime = Handle::current();
            playing.spawn_blocking(move || runtime.block_on(caller.take(steps)));
        }
        let (mut played, mut has_restarted) = (Vec::new(), false);
        eventually_async(3 * SOON, "all steps are taken", || {
            while let Some(caller) = playing.try_join_next() {
                played.push(caller.expect("a caller that got its own replies"));
            }
            block_in_place(|| {
                self.look();
                if !has_restarted && self.taken.load(Relaxed) >= restart_at {
                    self.restart();
                    has_restarted = true;
                }
            });
            playing.is_empty()
        })
        .await;
        assert!(has_restarted);
        played
    }

    /// Checks the counts, and kills the requested connections.
    fn look(&self) {
        let pool = self.pool();
        let clients = self.clients();
        assert!(clients.len() <= pool.max + PROBES, "{clients:?}");
        let sockets = proc::sockets_to(self.server.port());
        assert!(sockets <= pool.max + PROBES, "{sockets} sockets");
        for order in self.kills.try_iter() {
            if let Some(id) = clients.get(order % clients.len().max(1)) {
                // The connection may have ended meanwhile.
                self.server.cli(&["CLIENT", "KILL", "ID", id]);
            }
        }
    }

    fn restart(&self) {
        let failures = self.pool().dial_failures;
        self.server.kill();
        // A database that is down is dialled when its port answers, which it does not any more.
        let is_down = || {
            let stats = self.supervisor.statistics();
            matches!(stats.databases["main"].health, HealthState::Down { .. })
        };
        eventually(SOON, "the pool notices", || {
            self.pool().dial_failures > failures || is_down()
        });
        self.server.restart();
    }

    /// The statistics, whose parts must add up at any time.
    fn pool(&self) -> PoolStats {
        let pool = self.supervisor.statistics().databases["main"].pool.clone();
        let parts = pool.shared + pool.in_use + pool.idle + pool.closing;
        assert_eq!(pool.open, parts, "{pool:?}");
        assert!(pool.open + pool.opening <= pool.max, "{pool:?}");
        assert_eq!(pool.restarts, 0, "the pool has crashed");
        pool
    }

    /// The server's ids of the pool's connections.
    fn clients(&self) -> Vec<String> {
        let clients = self.server.clients_named("redis-steward");
        clients
            .into_iter()
            .map(|client| client["id"].clone())
            .collect()
    }

    /// Waits until nothing is in use. Then pool, server and kernel must agree.
    async fn settle(&self) {
        self.supervisor.ready(SOON).await.expect("healthy");
        eventually_async(SOON, "everything is returned", || {
            let stats = self.supervisor.statistics().databases["main"].clone();
            let pool = self.pool();
            (stats.in_flight, pool.parked, pool.waiting) == (0, 0, 0)
                && (pool.in_use, pool.opening, pool.closing) == (0, 0, 0)
        })
        .await;
        let mut counts = [0; 4];
        let agreed = block_in_place(|| {
            poll(SOON, Duration::from_millis(5), || {
                let before = self.pool().open;
                let (clients, port) = (self.clients().len(), self.server.port());
                counts = [before, clients, proc::sockets_to(port), self.pool().open];
                (counts == [before; 4]).then_some(())
            })
        });
        let [before, clients, sockets, after] = counts;
        assert!(
            agreed.is_some(),
            "open {before}, then clients {clients}, sockets {sockets}, open {after}"
        );
    }

    async fn end(self) {
        self.supervisor.shutdown(SOON).await;
        assert_eq!(proc::sockets_to(self.server.port()), 0);
        eventually(SOON, "the server has no client", || {
            self.clients().is_empty()
        });
        assert_eq!(self.pool().open, 0);
    }
}

/// Counts of one run.
#[derive(Debug, Default)]
struct Tally {
    leases: u64,
    cancelled: u64,
    errors: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn add(mut self, caller: &Caller) -> Self {
        self.leases += caller.tally.leases;
        self.cancelled += caller.impatient.cancelled;
        for (error, times) in &caller.tally.errors {
            *self.errors.entry(error).or_default() += times;
        }
        self
    }
}

/// Takes random steps, each of which it may cancel. Its keys and values are its own.
struct Caller {
    number: u64,
    main: Database,
    random: Rng,
    impatient: ImpatientCaller,
    kill: mpsc::Sender<usize>,
    taken: Arc<AtomicU64>,
    values: u64,
    tally: Tally,
}

impl Caller {
    fn new(number: u64, seed: u64, rig: &Rig, kill: mpsc::Sender<usize>) -> Self {
        let mut random = Rng::with_seed(seed.wrapping_add(1 + number));
        Self {
            number,
            main: rig.main.clone(),
            impatient: ImpatientCaller::seeded(random.u64(..)),
            random,
            kill,
            taken: rig.taken.clone(),
            values: 0,
            tally: Tally::default(),
        }
    }

    async fn take(mut self, steps: u64) -> Self {
        for _ in 0..steps {
            self.taken.fetch_add(1, Relaxed);
            let taken = match self.random.u8(0..100) {
                0..20 => self.share().await,
                20..27 => self.share_a_pipeline().await,
                27..60 => self.lease().await,
                60..82 => self.block().await,
                82..99 => self.transact().await,
                _ => {
                    let which = self.random.usize(..);
                    self.kill.send(which).expect("the test runs");
                    Ok(())
                }
            };
            if let Err(error) = taken {
                *self.tally.errors.entry(kind(&error)).or_default() += 1;
                // Without a pause the run would end before the server is back.
                tokio::time::sleep(Duration::from_millis(self.random.u64(0..50))).await;
            }
        }
        self
    }

    async fn share(&mut self) -> Result<(), Error> {
        let (command, expected) = self.own_command();
        self.call(command, expected).await
    }

    async fn call(&mut self, command: Cmd, expected: Expected) -> Result<(), Error> {
        let call = self.main.execute(&command);
        let reply = self.impatient.wait(call).await.transpose()?;
        self.check(reply, expected);
        Ok(())
    }

    async fn share_a_pipeline(&mut self) -> Result<(), Error> {
        let values: [String; 3] = std::array::from_fn(|_| self.value());
        let mut echoes = pipe();
        if self.random.bool() {
            echoes.atomic();
        }
        for value in &values {
            echoes.cmd("ECHO").arg(value);
        }
        let call = self.main.pipeline::<[String; 3]>(echoes);
        if let Some(replies) = self.impatient.wait(call).await.transpose()? {
            assert_eq!(replies, values);
        }
        Ok(())
    }

    async fn lease(&mut self) -> Result<(), Error> {
        let call = self.main.lease();
        let Some(mut lease) = self.impatient.wait(call).await.transpose()? else {
            return Ok(());
        };
        self.tally.leases += 1;
        let info = cmd("CLIENT").arg("INFO").take();
        let call = lease.query::<String>(info);
        if let Some(about) = self.impatient.wait(call).await.transpose()? {
            let is_untouched = [
                " db=0 ",
                " sub=0 ",
                // In no transaction, and watching nothing.
                " flags=N ",
                " name=redis-steward:main ",
            ]
            .into_iter()
            .all(|field| about.contains(field));
            assert!(is_untouched, "state of an earlier caller: {about}");
        }
        for _ in 0..self.random.u8(0..4) {
            match self.random.u8(0..10) {
                0 => self.change(&mut lease, &["SELECT", "1"]).await?,
                1 => return self.change(&mut lease, &["MULTI"]).await,
                2 => return self.change(&mut lease, &["WATCH", "any"]).await,
                3 => return self.change(&mut lease, &["SUBSCRIBE", "any"]).await,
                _ => {
                    let (command, expected) = self.own_command();
                    let call = lease.query::<Value>(command);
                    let reply = self.impatient.wait(call).await.transpose()?;
                    self.check(reply, expected);
                }
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Changes the state of the connection. The next caller must not find the change.
    async fn change(&mut self, lease: &mut Lease, words: &[&str]) -> Result<(), Error> {
        let command = Cmd::new().arg(words).take();
        let call = lease.query::<Value>(command);
        self.impatient.wait(call).await.transpose()?;
        // The reply to PING shows that the earlier replies have arrived.
        let ping = cmd("PING");
        let call = lease.query::<Value>(ping);
        self.impatient.wait(call).await.transpose()?;
        Ok(())
    }

    async fn block(&mut self) -> Result<(), Error> {
        if self.random.bool() {
            let push = cmd("RPUSH").arg(self.key("list")).arg(self.value()).take();
            self.call(push, Expected::Length).await?;
        }
        let (command, expected) = self.blocking_command();
        self.call(command, expected).await
    }

    async fn transact(&mut self) -> Result<(), Error> {
        let (keys, value, own) = ([self.key("transacted")], self.value(), self.prefix());
        let (key, value, own) = (&keys[0], value.as_str(), own.as_str());
        let call = self
            .main
            .transaction(&keys, |mut lease, mut pipe| async move {
                let before: Option<String> = lease.query(cmd("GET").arg(key)).await?;
                assert!(before.is_none_or(|value| value.starts_with(own)));
                pipe.set(key, value).ignore().get(key);
                Ok::<_, Error>(())
            });
        if let Some((read,)) = self.impatient.wait(call).await.transpose()? {
            let read: String = read;
            assert_eq!(read, value);
        }
        Ok(())
    }

    /// A command on the caller's own keys, and the expected reply.
    fn own_command(&mut self) -> (Cmd, Expected) {
        let value = self.value();
        match self.random.u8(0..4) {
            0 => (
                cmd("SET").arg(self.key("value")).arg(value).take(),
                Expected::Exactly(Value::Okay),
            ),
            1 => (cmd("GET").arg(self.key("value")).take(), Expected::Own),
            2 => self.blocking_command(),
            _ => (
                cmd("ECHO").arg(&value).take(),
                Expected::Exactly(Value::BulkString(value.into())),
            ),
        }
    }

    fn blocking_command(&mut self) -> (Cmd, Expected) {
        match self.random.u8(0..4) {
            0 => (
                cmd("XREAD")
                    .arg("BLOCK")
                    .arg(self.random.u8(1..20))
                    .arg(&["STREAMS", "nothing", "$"])
                    .take(),
                Expected::Exactly(Value::Nil),
            ),
            1 => (
                cmd("BLMOVE")
                    .arg(self.key("list"))
                    .arg(self.key("moved"))
                    .arg(&["LEFT", "RIGHT"])
                    .arg(0.01)
                    .take(),
                Expected::Own,
            ),
            _ => (
                cmd("BLPOP").arg(self.key("list")).arg(0.01).take(),
                Expected::Popped,
            ),
        }
    }

    fn check(&self, reply: Option<Value>, expected: Expected) {
        let is_own = |value: &Value| match value {
            Value::BulkString(text) => text.starts_with(self.prefix().as_bytes()),
            _ => false,
        };
        let is_right = match (&reply, &expected) {
            (None, _) | (Some(Value::Nil), Expected::Own | Expected::Popped) => true,
            (Some(reply), Expected::Exactly(exactly)) => reply == exactly,
            (Some(reply), Expected::Own) => is_own(reply),
            (Some(Value::Array(popped)), Expected::Popped) => {
                let list = Value::BulkString(self.key("list").into());
                popped.len() == 2 && popped[0] == list && is_own(&popped[1])
            }
            (Some(Value::Int(length)), Expected::Length) => *length > 0,
            (Some(_), Expected::Popped | Expected::Length) => false,
        };
        assert!(
            is_right,
            "caller {}: {reply:?}, not {expected:?}",
            self.number
        );
    }

    fn key(&self, kind: &str) -> String {
        format!("{kind}:{}", self.number)
    }

    fn value(&mut self) -> String {
        self.values += 1;
        format!("{}{}", self.prefix(), self.values)
    }

    fn prefix(&self) -> String {
        format!("of {}: ", self.number)
    }
}

/// The expected reply to a command.
#[derive(Debug)]
enum Expected {
    Exactly(Value),
    /// A value of the caller's own, or none.
    Own,
    /// A value popped from the caller's list, or none.
    Popped,
    /// The length of the caller's list.
    Length,
}

/// The permitted errors when connections are few or killed and the server restarts.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::CircuitOpen { .. } => "circuit open",
        Error::TimedOut { .. } => "timed out",
        Error::ConnectionLost { .. } => "connection lost",
        _ => panic!("{error}"),
    }
}
