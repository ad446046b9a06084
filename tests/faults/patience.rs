//! Calls that wait for recovery, and calls that do not.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use redis::cmd;
use redis_steward::{
    CircuitState, Config, Database, DatabaseConfig, Error, Execution, Limit, Stage, Supervisor,
    WhenDown,
};
use tokio::runtime::Builder;

use crate::{
    SLACK, SOON,
    common::{RedisServer, eventually_async, spawn},
    incr, stats, until_open,
};

/// One call after the other for this time. All of them must succeed.
async fn all_succeed(main: &Database, time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        let called = main.query::<i64>(incr()).await;
        called.expect("a call that waits does not fail");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_88_calls_of_a_patient_handle_survive_outages() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    // It may be under way when the server dies, and then only the caller can say that it may run twice.
    let jobs = main.patient().idempotent().with_timeout(2 * SOON);
    for _ in 0..500 {
        // They pay for the retries of the calls that are under way at the kill.
        jobs.query::<i64>(incr()).await.expect("it is up");
    }
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let jobs = jobs.clone();
            tokio::spawn(async move { all_succeed(&jobs, Duration::from_secs(8)).await })
        })
        .collect();
    server.kill();
    until_open(&supervisor).await;
    let waits = || stats(&supervisor).pool.parked >= 20;
    eventually_async(SOON, "all callers wait", waits).await;
    server.restart();
    supervisor.ready(SOON).await.expect("ready again");
    server.freeze();
    until_open(&supervisor).await;
    server.thaw();
    for caller in callers {
        caller.await.expect("no call fails");
    }
    assert_eq!(stats(&supervisor).pool.parked, 0);
    assert_eq!(stats(&supervisor).refused, 0);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_88_waiting_calls_keep_their_deadline_and_their_bound() {
    let server = RedisServer::start();
    let config = DatabaseConfig::from_url(server.url())
        .when_down(WhenDown::Wait)
        .command_timeout(Duration::from_millis(300))
        .max_parked(3);
    let (supervisor, main) = spawn(config).await;
    server.kill();
    until_open(&supervisor).await;
    let start = Instant::now();
    let calls = join_all((0..5).map(|_| main.query::<i64>(incr()))).await;
    let took = start.elapsed();
    let (mut timed_out, mut refused) = (0, 0);
    for error in calls.into_iter().map(|call| call.expect_err("it is down")) {
        assert_eq!(error.execution(), Execution::NotSent);
        match error {
            Error::TimedOut {
                stage, last_error, ..
            } => {
                assert_eq!(stage, Stage::Connect);
                assert!(last_error.is_some(), "the reason of the outage");
                timed_out += 1;
            }
            Error::Overloaded { limit, .. } => {
                assert_eq!(limit, Limit::Parked(3));
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!((timed_out, refused), (3, 2));
    let limit = Duration::from_millis(300);
    assert!(took >= limit && took < limit + SLACK, "{took:?}");
    let error = main.impatient().query::<i64>(incr()).await;
    assert!(matches!(error, Err(Error::CircuitOpen { .. })), "{error:?}");
    supervisor.isolate("main").await.expect("isolated");
    let error = main.query::<i64>(incr()).await;
    assert!(matches!(error, Err(Error::Isolated { .. })), "{error:?}");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_88_a_patient_worker_gets_its_connection_after_the_outage() {
    let server = RedisServer::start();
    let config = DatabaseConfig::from_url(server.url()).acquire_timeout(2 * SOON);
    let (supervisor, main) = spawn(config).await;
    server.kill();
    until_open(&supervisor).await;
    let worker = tokio::spawn(async move {
        let mut lease = main.patient().lease().await?;
        lease.query::<String>(cmd("PING")).await
    });
    let waits = || stats(&supervisor).pool.parked == 1;
    eventually_async(SOON, "the worker waits", waits).await;
    server.restart();
    let pong = worker.await.expect("no panic").expect("a connection");
    assert_eq!(pong, "PONG");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_89_a_call_that_waits_when_the_circuit_opens_is_refused_then() {
    let server = RedisServer::start();
    let main = DatabaseConfig::from_url(server.url()).command_timeout(2 * SOON);
    server.kill();
    let config = Config::new().database("main", main);
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    let main = supervisor.database("main").expect("main");
    let calls = (0..50).map(|_| main.query::<i64>(incr()));
    for call in join_all(calls).await {
        match call.expect_err("no server") {
            Error::CircuitOpen { .. } => {}
            other => panic!("not told when the circuit opened: {other}"),
        }
    }
    assert_eq!(stats(&supervisor).circuit, CircuitState::Open);
    assert_eq!(stats(&supervisor).pool.parked, 0);
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_89_the_circuit_is_seen_open_by_the_callers_that_it_refuses() {
    for _ in 0..20 {
        let server = RedisServer::start();
        let url = server.url();
        server.kill();
        let config = Config::new().database("main", DatabaseConfig::from_url(url));
        let supervisor = Supervisor::spawn(config).await.expect("spawn");
        let main = supervisor.database("main").expect("main");
        let calls = (0..50).map(|_| async {
            let refused = main.query::<i64>(incr()).await;
            (refused, stats(&supervisor).circuit)
        });
        for (refused, seen) in join_all(calls).await {
            let refused = refused.expect_err("no server");
            assert!(matches!(refused, Error::CircuitOpen { .. }), "{refused}");
            assert_ne!(seen, CircuitState::Closed);
        }
        supervisor.shutdown(SOON).await;
    }
}

#[tokio::test]
async fn row_89_a_lease_that_is_waited_for_when_the_circuit_opens_is_refused_then() {
    let server = RedisServer::start();
    let main = DatabaseConfig::from_url(server.url()).acquire_timeout(4 * SOON);
    server.kill();
    let config = Config::new().database("main", main);
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    let main = supervisor.database("main").expect("main");
    let patient = main.patient().with_timeout(Duration::from_millis(50));
    let refused = main.lease().await.expect_err("no server");
    assert!(matches!(refused, Error::CircuitOpen { .. }), "{refused}");
    let timed_out = patient.lease().await.expect_err("no server");
    assert!(matches!(timed_out, Error::TimedOut { .. }), "{timed_out}");
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_90_callers_beyond_the_trials_wait_for_the_verdict() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    for _ in 0..5 {
        server.kill();
        until_open(&supervisor).await;
        server.restart_without_waiting();
        let is_open = || stats(&supervisor).circuit == CircuitState::Open;
        while is_open() {
            tokio::task::yield_now().await;
        }
        for call in join_all((0..500).map(|_| main.query::<i64>(incr()))).await {
            call.expect("the server is back");
        }
        supervisor.ready(SOON).await.expect("ready again");
    }
    supervisor.shutdown(SOON).await;
}

/// A loop of refused calls leaves time to the other tasks of its thread.
#[test]
fn refused_calls_do_not_starve_their_thread() {
    // The thread would never come to an end, so another one looks at the clock.
    let (end, ended) = mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(refused_calls());
        let _ = end.send(());
    });
    let ended = ended.recv_timeout(2 * SOON);
    ended.expect("the timeout ends the loop of refused calls");
}

async fn refused_calls() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    server.kill();
    until_open(&supervisor).await;
    let endless = async {
        loop {
            let refused = main.query::<i64>(incr()).await;
            refused.expect_err("it is down");
        }
    };
    let timeout: Result<(), _> = tokio::time::timeout(Duration::from_millis(100), endless).await;
    timeout.expect_err("the loop has no other end");
    supervisor.shutdown(SOON).await;
}
