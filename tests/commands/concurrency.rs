//! Goal: with thousands of concurrent and cancelled calls, a reply reaches only the caller of its
//! command, and every command is counted once. Method: every value carries the nonce of its caller; a
//! server that holds back writes (`CLIENT PAUSE`) keeps commands in flight for as long as a test needs.

use std::{sync::Arc, time::Duration};

use redis::AsyncCommands;
use redis_steward::{
    Config, Database, DatabaseConfig, DatabaseStats, Error, Execution, Io, Supervisor,
};
use tokio::task::{JoinHandle, JoinSet};

use crate::common::{ImpatientCaller, RedisServer, eventually_async, proc};

const SOON: Duration = Duration::from_secs(20);
/// Long enough that no command times out on a slow machine.
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
async fn cancelled_calls_take_no_other_reply_and_are_counted() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let rig = Rig::start(|database| database).await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let mut main = rig.main.clone();
        let mut impatient = ImpatientCaller::seeded(seed.wrapping_add(caller));
        callers.spawn(async move {
            let (key, nonce) = (format!("key:{caller}"), format!("nonce:{caller}"));
            let mut echo = redis::cmd("ECHO");
            if let Some(echoed) = impatient.wait(main.query::<String>(echo.arg(&nonce))).await {
                assert_eq!(echoed.expect("echo"), nonce);
            }
            let was_set = impatient
                .wait(main.set::<_, _, ()>(&key, &nonce))
                .await
                .is_some();
            if let Some(found) = impatient.wait(main.get::<_, Option<String>>(&key)).await {
                match found.expect("get") {
                    Some(found) => assert_eq!(found, nonce),
                    None => assert!(!was_set, "a value that was set is missing"),
                }
            }
            impatient.cancelled
        });
    }
    let mut cancelled = 0;
    while let Some(caller) = callers.join_next().await {
        cancelled += caller.expect("a caller got its own replies");
    }
    let stats = rig.settled().await;
    // Every call was polled at least once, so each is counted exactly once.
    assert_eq!(stats.commands(), 3 * CALLERS, "{stats:?}");
    // A reply may have been counted just before its call was cancelled.
    println!(
        "{cancelled} cancelled, {} counted as cancelled",
        stats.cancelled
    );
    assert!(
        stats.cancelled > 0 && stats.cancelled <= cancelled,
        "{cancelled} cancelled, {stats:?}"
    );
    assert_eq!(stats.succeeded + stats.cancelled, 3 * CALLERS, "{stats:?}");
    rig.end().await;
}

#[tokio::test]
async fn calls_cut_short_by_a_shutdown_count_once() {
    let rig = Rig::start(|database| database).await;
    rig.pause_writes();
    let (waits, cancelled) = (rig.set(0, 1), rig.set(1, 1));
    rig.until_in_flight(2).await;
    cancelled.abort();
    cancelled.await.expect_err("the caller is gone");
    rig.supervisor.shutdown(Duration::ZERO).await;
    let error = waits.await.expect("a task").expect_err("it was cut short");
    assert_eq!(error.execution(), Execution::Unknown, "{error}");
    let stats = rig.settled().await;
    assert_eq!(stats.commands(), 2, "{stats:?}");
    rig.unpause();
    rig.end().await;
}

#[tokio::test]
async fn a_shutdown_does_not_report_a_cancelled_call_as_completed() {
    let rig = Rig::start(|database| database).await;
    rig.pause_writes();
    let cancelled = rig.set(0, 1);
    rig.until_in_flight(1).await;
    cancelled.abort();
    cancelled.await.expect_err("the caller is gone");
    // The server never answers.
    assert_eq!(rig.supervisor.shutdown(SOON).await.completed, 0);
    assert_eq!(rig.settled().await.commands(), 1);
    rig.unpause();
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_callers_as_the_limit_are_never_refused() {
    // With Io::Dedicated the reply arrives from another thread.
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

    /// From now on writes wait, and so does everything behind them on the same connection.
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
        eventually_async(SOON, "the calls are in flight", || {
            self.stats().in_flight == commands
        })
        .await;
    }

    /// The counters after the last command has ended. Cancelled commands end later than their calls.
    async fn settled(&self) -> DatabaseStats {
        eventually_async(SOON, "nothing is in flight", || {
            let stats = self.stats();
            (stats.in_flight, stats.in_flight_bytes) == (0, 0)
        })
        .await;
        // A batch is counted after its last reply is delivered.
        let mut before = self.stats();
        eventually_async(SOON, "the counters no longer change", || {
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
