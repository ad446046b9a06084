//! Goal: a server that has stopped answering costs a caller its deadline and no more, and what it
//! answers later reaches nobody. Method: a real server is frozen with SIGSTOP, so that the kernel
//! goes on accepting bytes and connections for it, and thawed with SIGCONT.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::cmd;
use redis_steward::{CircuitState, Database, DatabaseConfig, Error, Execution, Stage, Supervisor};

use crate::common::{FaultProxy, Mode, RedisServer, eventually_async, proc::sockets_to};

const SOON: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_millis(600);
/// What a deadline may be missed by.
const SLACK: Duration = Duration::from_millis(50);

async fn spawn(server: &RedisServer) -> (Supervisor, Database) {
    spawn_with(DatabaseConfig::from_url(server.url())).await
}

async fn spawn_with(main: DatabaseConfig) -> (Supervisor, Database) {
    let main = main
        .command_timeout(TIMEOUT)
        .attempt_timeout(Duration::from_millis(200))
        .connect_timeout(Duration::from_millis(300));
    crate::common::spawn(main).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_end_by_their_deadline_unknown_and_late_replies_reach_nobody() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(&server).await;
    let _: () = main
        .query(cmd("SET").arg("mine").arg("0"))
        .await
        .expect("set");

    server.freeze();
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let main = main.clone();
            tokio::spawn(async move {
                let start = Instant::now();
                let result: Result<i64, Error> = main.query(cmd("INCR").arg("counter")).await;
                (start.elapsed(), result)
            })
        })
        .collect();
    let mut unknown = 0;
    for call in calls {
        let (took, result) = call.await.expect("task");
        let error = result.expect_err("a frozen server answered");
        assert!(took <= TIMEOUT + SLACK, "{took:?}: {error}");
        assert_eq!(error.execution(), Execution::Unknown, "{error}");
        unknown += 1;
    }
    let circuit = || supervisor.statistics().databases["main"].circuit;
    eventually_async(SOON, "the circuit is open", || {
        circuit() == CircuitState::Open
    })
    .await;

    server.thaw();
    supervisor.ready(SOON).await.expect("ready again");
    // Every reply that was late is one to INCR; an ECHO that gets one of them would show it.
    for turn in 0..500 {
        let nonce = format!("nonce-{turn}");
        let echo: String = main.query(cmd("ECHO").arg(&nonce)).await.expect("echo");
        assert_eq!(echo, nonce);
    }
    // All were executed after all, which is why none may be sent again.
    let counter: i64 = main
        .query(cmd("GET").arg("counter"))
        .await
        .expect("counter");
    assert_eq!(counter, unknown);
    supervisor.shutdown(SOON).await;
    assert_eq!(sockets_to(server.port()), 0);
}

#[tokio::test]
async fn a_connection_that_stays_silent_is_replaced() {
    let server = RedisServer::start();
    // The circuit shall not be what takes it out of service.
    let main = DatabaseConfig::from_url(server.url()).failure_threshold(10_000);
    let (supervisor, main) = spawn_with(main).await;
    server.freeze();
    let hasty = main.with_timeout(Duration::from_millis(50));
    let lost = || supervisor.statistics().databases["main"].pool.lost;
    let start = Instant::now();
    while lost() == 0 {
        let result: Result<i64, Error> = hasty.query(cmd("INCR").arg("counter")).await;
        assert!(result.is_err());
        assert!(
            start.elapsed() < SOON,
            "the silent connection is still in use"
        );
    }
    server.thaw();
    let patient = main.with_timeout(SOON);
    let pong: String = patient.query(cmd("PING")).await.expect("ping");
    assert_eq!(pong, "PONG");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_circuit_that_opens_takes_the_unanswering_connection_out_of_service() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let (supervisor, main) = spawn_with(DatabaseConfig::from_url(proxy.url())).await;
    proxy.set(Mode::SwallowReplies);
    // Together, so that the circuit is faster than the rule about silence.
    let hasty = main.with_timeout(Duration::from_millis(200));
    let incr = cmd("INCR").arg("counter").take();
    let calls: Vec<_> = (0..5).map(|_| hasty.query::<i64>(&incr)).collect();
    for result in futures_util::future::join_all(calls).await {
        result.expect_err("no replies");
    }
    let stats = || supervisor.statistics().databases["main"].clone();
    let is_open = || stats().circuit == CircuitState::Open;
    eventually_async(SOON, "the circuit is open", is_open).await;
    // From now on replies come again. On the old connection each would be one too early.
    proxy.heal();
    supervisor.ready(SOON).await.expect("ready again");
    for turn in 0..100 {
        let nonce = format!("nonce-{turn}");
        let echo: String = main.query(cmd("ECHO").arg(&nonce)).await.expect("echo");
        assert_eq!(echo, nonce);
    }
    let pool = stats().pool;
    assert_eq!((pool.open, pool.opened), (1, 2));
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_short_stall_costs_nobody_anything() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(&server).await;
    let before = supervisor.statistics().databases["main"].pool.opened;
    let patient = main.with_timeout(Duration::from_secs(3));
    let server = Arc::new(server);
    let stall = tokio::task::spawn_blocking({
        let server = server.clone();
        move || server.cli(&["DEBUG", "SLEEP", "0.4"])
    });
    while !stall.is_finished() {
        let pong: String = patient
            .query(cmd("PING"))
            .await
            .expect("a late reply is a reply");
        assert_eq!(pong, "PONG");
    }
    assert_eq!(stall.await.expect("stall"), "OK");
    let after = supervisor.statistics().databases["main"].pool.opened;
    assert_eq!(after, before, "no reconnect");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_call_without_a_connection_says_what_it_waited_for() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(&server).await;
    server.kill();
    let last_errors = || supervisor.statistics().databases["main"].pool.dial_failures;
    eventually_async(SOON, "a dial failed", || last_errors() > 0).await;
    // Before the circuit opens, a call waits for a connection, until its deadline.
    let start = Instant::now();
    let timeout = Duration::from_millis(100);
    let error = main
        .with_timeout(timeout)
        .query::<String>(cmd("PING"))
        .await
        .expect_err("nobody is there");
    assert!(start.elapsed() <= timeout + SLACK, "{error}");
    match &error {
        Error::TimedOut {
            stage, last_error, ..
        } => {
            assert_eq!(*stage, Stage::Connect);
            let last_error = last_error.as_deref().expect("a reason");
            assert!(last_error.contains("refused"), "{last_error}");
        }
        other => panic!("another error: {other}"),
    }
    assert_eq!(error.execution(), Execution::NotSent);
    supervisor.shutdown(SOON).await;
}
