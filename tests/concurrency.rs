//! Goal: however many call at once, and however many of them give up, a reply reaches the caller
//! of its command or nobody, every command is counted once, and the bounds hold and come back.
//! Method: every value carries the nonce of its caller; a server that holds back writes (`CLIENT
//! PAUSE`) keeps commands in flight for as long as a test needs.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{FaultProxy, Patience, RedisServer, eventually_async, proc};
use redis::AsyncCommands;
use redis_steward::{
    CircuitState, Config, Database, DatabaseConfig, DatabaseStats, Error, Execution, HealthState,
    Io, Limit, Supervisor,
};
use tokio::task::{JoinHandle, JoinSet};

const SOON: Duration = Duration::from_secs(20);
/// No command of these tests is meant to time out, on whatever machine.
const LONG: Duration = Duration::from_secs(120);
const CALLERS: u64 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_10_000_concurrent_callers_gets_its_own_replies() {
    let rig = Rig::start(|database| database).await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let mut main = rig.main.clone();
        callers.spawn(async move {
            let (key, nonce) = (format!("key:{caller}"), format!("nonce:{caller}"));
            let echoed: String = main
                .query(redis::cmd("ECHO").arg(&nonce))
                .await
                .expect("echo");
            assert_eq!(echoed, nonce);
            main.set::<_, _, ()>(&key, &nonce).await.expect("set");
            assert_eq!(main.get::<_, String>(&key).await.expect("get"), nonce);
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.expect("a caller got its own replies");
    }
    let stats = rig.settled().await;
    assert_eq!(
        (stats.succeeded, stats.commands()),
        (3 * CALLERS, 3 * CALLERS)
    );
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_give_up_take_nobody_elses_reply_and_are_counted() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let rig = Rig::start(|database| database).await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let mut main = rig.main.clone();
        let mut patience = Patience::seeded(seed.wrapping_add(caller));
        callers.spawn(async move {
            let (key, nonce) = (format!("key:{caller}"), format!("nonce:{caller}"));
            let mut echo = redis::cmd("ECHO");
            if let Some(echoed) = patience.wait(main.query::<String>(echo.arg(&nonce))).await {
                assert_eq!(echoed.expect("echo"), nonce);
            }
            let was_set = patience
                .wait(main.set::<_, _, ()>(&key, &nonce))
                .await
                .is_some();
            if let Some(found) = patience.wait(main.get::<_, Option<String>>(&key)).await {
                match found.expect("get") {
                    Some(found) => assert_eq!(found, nonce),
                    None => assert!(!was_set, "a value that was set is missing"),
                }
            }
            patience.gave_up
        });
    }
    let mut gave_up = 0;
    while let Some(caller) = callers.join_next().await {
        gave_up += caller.expect("a caller got its own replies");
    }
    let stats = rig.settled().await;
    // Every call was polled at least once, so every one has been counted, in exactly one place.
    assert_eq!(stats.commands(), 3 * CALLERS, "{stats:?}");
    // A reply may have come, and counted, just before its caller gave up.
    println!("{gave_up} gave up, {} count as cancelled", stats.cancelled);
    assert!(
        stats.cancelled > 0 && stats.cancelled <= gave_up,
        "{gave_up} gave up, {stats:?}"
    );
    assert_eq!(stats.succeeded + stats.cancelled, 3 * CALLERS, "{stats:?}");
    rig.end().await;
}

#[tokio::test]
async fn every_call_that_a_shutdown_cuts_short_counts_once() {
    let rig = Rig::start(|database| database).await;
    rig.pause_writes();
    let (waits, gives_up) = (rig.set(0, 1), rig.set(1, 1));
    rig.until_in_flight(2).await;
    gives_up.abort();
    gives_up.await.expect_err("the caller is gone");
    rig.supervisor.shutdown(Duration::ZERO).await;
    let error = waits.await.expect("a task").expect_err("it was cut short");
    assert_eq!(error.execution(), Execution::Unknown, "{error}");
    let stats = rig.settled().await;
    assert_eq!(stats.commands(), 2, "{stats:?}");
    rig.unpause();
    rig.end().await;
}

#[tokio::test]
async fn a_shutdown_does_not_report_a_call_that_was_given_up_as_completed() {
    let rig = Rig::start(|database| database).await;
    rig.pause_writes();
    let gives_up = rig.set(0, 1);
    rig.until_in_flight(1).await;
    gives_up.abort();
    gives_up.await.expect_err("the caller is gone");
    // The server never answers.
    assert_eq!(rig.supervisor.shutdown(SOON).await.completed, 0);
    assert_eq!(rig.settled().await.commands(), 1);
    rig.unpause();
    rig.end().await;
}

#[tokio::test]
async fn calls_beyond_the_limit_are_refused_at_once_and_room_comes_back() {
    let rig = Rig::start(|database| database.max_in_flight(100)).await;
    rig.pause_writes();
    let mut admitted: Vec<_> = (0..100).map(|n| rig.set(n, 1)).collect();
    rig.until_in_flight(100).await;

    for _ in 0..50 {
        let error = rig
            .main
            .execute(&redis::cmd("PING"))
            .await
            .expect_err("no room");
        assert_eq!(error.execution(), Execution::NotSent);
        match error {
            Error::Overloaded {
                in_flight,
                parked,
                limit,
                ..
            } => {
                assert_eq!((in_flight, parked, limit), (100, 0, Limit::Commands(100)));
            }
            other => panic!("{other}"),
        }
    }
    let stats = rig.stats();
    assert_eq!((stats.refused, stats.in_flight), (50, 100));
    assert_eq!(
        (stats.circuit, stats.health),
        (CircuitState::Closed, HealthState::Healthy)
    );

    // Whoever gives up makes no room yet: the server still has to answer the command.
    admitted.pop().expect("a caller").abort();
    rig.unpause();
    for caller in admitted {
        caller.await.expect("a task").expect("the command ran");
    }
    let stats = rig.settled().await;
    assert_eq!(
        (stats.succeeded, stats.cancelled, stats.refused),
        (99, 1, 50)
    );
    rig.main
        .execute(&redis::cmd("PING"))
        .await
        .expect("there is room again");
    rig.end().await;
}

#[tokio::test]
async fn bytes_beyond_the_limit_are_refused_at_once_and_room_comes_back() {
    const MIB: usize = 1 << 20;
    let rig = Rig::start(|database| database.max_in_flight_bytes(MIB)).await;
    let never = rig
        .set(0, 2 * MIB)
        .await
        .expect("a task")
        .expect_err("it never fits");
    assert!(
        matches!(
            never,
            Error::Overloaded {
                limit: Limit::Bytes(MIB),
                ..
            }
        ),
        "{never}"
    );

    rig.pause_writes();
    let admitted: Vec<_> = (0..3).map(|n| rig.set(n, 300_000)).collect();
    rig.until_in_flight(3).await;
    let error = rig
        .set(3, 300_000)
        .await
        .expect("a task")
        .expect_err("no room");
    match error {
        Error::Overloaded {
            in_flight: 3,
            in_flight_bytes,
            limit: Limit::Bytes(MIB),
            ..
        } => {
            assert!(
                (900_000..MIB).contains(&in_flight_bytes),
                "{in_flight_bytes}"
            );
        }
        other => panic!("{other}"),
    }
    let small = rig.set(4, 1);
    rig.until_in_flight(4).await;
    assert_eq!(rig.stats().circuit, CircuitState::Closed);

    rig.unpause();
    for caller in admitted.into_iter().chain([small]) {
        caller.await.expect("a task").expect("the command ran");
    }
    let stats = rig.settled().await;
    assert_eq!((stats.succeeded, stats.refused), (4, 2));
    rig.set(3, 300_000)
        .await
        .expect("a task")
        .expect("there is room again");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_callers_as_the_limit_are_never_refused() {
    // A runtime of its own for the connection: a caller learns its reply on another thread.
    let rig = Rig::start_on(Io::Dedicated, |database| database.max_in_flight(4)).await;
    let mut callers = JoinSet::new();
    for _ in 0..4 {
        let main = rig.main.clone();
        callers.spawn(async move {
            for turn in 0..2_500 {
                let reply = main.execute(&redis::cmd("PING")).await;
                assert!(reply.is_ok(), "turn {turn}: {reply:?}");
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.expect("each caller has one command in flight at a time");
    }
    rig.end().await;
}

#[tokio::test]
async fn a_pipeline_larger_than_all_buffers_does_not_deadlock() {
    // The server stops reading while nobody reads its replies; whoever only writes until all is
    // written waits for ever.
    let server = RedisServer::start();
    let proxy = FaultProxy::with_buffers(server.port(), 4096);
    // On a busy machine nothing may be read for as long as the system would wait.
    let main = DatabaseConfig::from_url(proxy.url()).without_tcp_user_timeout();
    let rig = Rig::spawn(server, Io::Caller, main).await;
    let parts: Vec<Vec<u8>> = (0..64).map(|part| vec![part; 1 << 20]).collect();
    let mut pipeline = redis::pipe();
    for part in &parts {
        pipeline.cmd("ECHO").arg(part);
    }
    let echoed: Vec<Vec<u8>> = rig
        .main
        .with_timeout(LONG)
        .pipeline(&pipeline)
        .await
        .expect("all replies");
    assert!(echoed == parts, "other replies came back");
    assert_eq!(rig.stats().pool.opened, 1, "the connection was never lost");
    rig.end().await;
    assert_eq!(proc::sockets_to(proxy.port()), 0);
}

struct Rig {
    server: Arc<RedisServer>,
    supervisor: Supervisor,
    main: Database,
}

impl Rig {
    async fn start(configure: impl FnOnce(DatabaseConfig) -> DatabaseConfig) -> Self {
        Self::start_on(Io::Caller, configure).await
    }

    async fn start_on(io: Io, configure: impl FnOnce(DatabaseConfig) -> DatabaseConfig) -> Self {
        let server = RedisServer::start();
        let database = configure(DatabaseConfig::from_url(server.url()));
        Self::spawn(server, io, database).await
    }

    async fn spawn(server: RedisServer, io: Io, database: DatabaseConfig) -> Self {
        let config = Config::new().database("main", database.command_timeout(LONG));
        let supervisor = Supervisor::spawn(config.io(io))
            .await
            .expect("a supervisor");
        supervisor.ready(SOON).await.expect("a healthy database");
        let main = supervisor.database("main").expect("the database");
        Self {
            server: server.into(),
            supervisor,
            main,
        }
    }

    fn stats(&self) -> DatabaseStats {
        self.supervisor.statistics().databases["main"].clone()
    }

    /// Writes, and everything behind them on their connection, wait from now on.
    fn pause_writes(&self) {
        assert_eq!(
            self.server.cli(&["CLIENT", "PAUSE", "100000", "WRITE"]),
            "OK"
        );
    }

    fn unpause(&self) {
        assert_eq!(self.server.cli(&["CLIENT", "UNPAUSE"]), "OK");
    }

    fn set(&self, key: usize, bytes: usize) -> JoinHandle<Result<redis::Value, Error>> {
        let main = self.main.clone();
        tokio::spawn(async move {
            main.execute(redis::cmd("SET").arg(key).arg(vec![b'x'; bytes]))
                .await
        })
    }

    async fn until_in_flight(&self, commands: usize) {
        eventually_async(SOON, "so many are in flight", || {
            self.stats().in_flight == commands
        })
        .await;
    }

    /// The counters once every command has ended: those whose callers are gone end later.
    async fn settled(&self) -> DatabaseStats {
        eventually_async(SOON, "nothing is in flight", || {
            let stats = self.stats();
            (stats.in_flight, stats.in_flight_bytes) == (0, 0)
        })
        .await;
        // A batch is counted after its last reply was handed out: ask until it is.
        let mut before = self.stats();
        eventually_async(SOON, "the counters stand still", || {
            let after = self.stats();
            let stands_still = before.commands() == after.commands();
            before = after;
            stands_still
        })
        .await;
        before
    }

    async fn end(self) {
        self.settled().await;
        self.supervisor.shutdown(SOON).await;
        assert_eq!(proc::sockets_to(self.server.port()), 0);
        eventually_async(SOON, "the server has no client", || {
            self.server.clients_named("redis-steward").is_empty()
        })
        .await;
    }
}
