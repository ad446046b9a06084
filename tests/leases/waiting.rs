//! Goal: callers wait for a lease in order and within their deadline, and the error of a timeout shows
//! the state of the pool and the server. Method: small pools of a real server.

use std::time::Duration;

use redis::AsyncCommands;
use redis_steward::{CircuitState, DatabaseConfig, Error, Execution, Stage};

use crate::common::{FaultProxy, Mode, RedisServer, Rig, eventually_async, spawn, words};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn an_acquire_timeout_shows_the_counts_of_the_pool() {
    let rig = Rig::with(|main| {
        main.max_connections(3)
            .acquire_timeout(Duration::from_millis(200))
    })
    .await;
    let one = rig.main.lease().await.expect("a lease");
    let two = rig.main.lease().await.expect("another");
    let error = rig.main.lease().await.expect_err("there is no third");
    assert_eq!(error.execution(), Execution::NotSent);
    match &error {
        Error::TimedOut {
            stage,
            pool,
            timeout,
            ..
        } => {
            assert_eq!(
                (*stage, *timeout),
                (Stage::Acquire, Duration::from_millis(200))
            );
            assert_eq!(
                (pool.in_use, pool.shared, pool.idle, pool.max),
                (2, 1, 0, 3)
            );
        }
        other => panic!("{other}"),
    }
    let text = error.to_string();
    assert!(
        text.contains("max_connections = 3: 2 leased, 1 shared"),
        "{text}"
    );
    // Ordinary commands are not affected, and waiting callers are served in order.
    let _: () = rig.main.clone().set("k", 1).await.expect("set");
    let patient = rig.main.with_timeout(SOON);
    let waiting = tokio::spawn(async move { patient.lease().await });
    eventually_async(SOON, "it waits", || rig.pool().waiting == 1).await;
    drop(one);
    let third = waiting.await.expect("a task").expect("the returned lease");
    drop((two, third));
    assert_eq!(rig.settled().await.idle, 2);
    assert_eq!(rig.pool().acquire_wait.count(), 3);
    rig.end().await;
}

#[tokio::test]
async fn an_acquire_timeout_names_the_problem_of_the_server() {
    let rig = Rig::with(|main| main.acquire_timeout(SOON).command_timeout(2 * SOON)).await;
    rig.server.kill();
    eventually_async(SOON, "the loss is known", || rig.pool().lost == 1).await;
    let patient = rig.main.patient().with_timeout(SOON / 4);
    let waiting = tokio::spawn(patient.lease());
    let is_open = || rig.stats().circuit == CircuitState::Open;
    eventually_async(SOON, "the circuit is open", is_open).await;
    let error = waiting.await.expect("a task").expect_err("no server");
    let Error::TimedOut {
        circuit,
        last_error,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(*circuit, CircuitState::Open);
    assert!(last_error.is_some(), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("the circuit is open"), "{text}");
    assert!(text.contains("refused"), "{text}");
    rig.supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_database_of_one_connection_lends_none() {
    let rig = Rig::with(|main| main.max_connections(1)).await;
    let error = rig.main.lease().await.expect_err("none to lend");
    assert!(matches!(error, Error::Overloaded { .. }), "{error}");
    assert!(error.to_string().contains("max_connections = 1"), "{error}");
    let error = rig
        .main
        .query::<()>(words("BLPOP k 0.1"))
        .await
        .expect_err("none to lend");
    assert!(matches!(error, Error::Overloaded { .. }), "{error}");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dial_outlives_the_caller_that_started_it() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let config = DatabaseConfig::from_url(proxy.url());
    let (supervisor, main) = spawn(config).await;
    let pool = || supervisor.statistics().databases["main"].pool.clone();
    proxy.set(Mode::Delay {
        requests: Duration::ZERO,
        replies: Duration::from_millis(50),
    });
    let hasty = main.with_timeout(Duration::from_millis(10));
    let error = hasty.lease().await.expect_err("too slow");
    assert!(
        matches!(
            error,
            Error::TimedOut {
                stage: Stage::Acquire,
                ..
            }
        ),
        "{error}"
    );
    eventually_async(SOON, "the connection joins the pool", || pool().idle == 1).await;
    assert_eq!((pool().opened, pool().opening), (2, 0));
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_sweep_removes_cancelled_callers_from_the_queue() {
    let rig = Rig::with(|main| {
        main.max_connections(2)
            .acquire_timeout(Duration::from_secs(60))
    })
    .await;
    let lease = rig.main.lease().await.expect("a lease");
    let patient = tokio::spawn(rig.main.lease());
    let waiting = || rig.pool().waiting;
    eventually_async(SOON, "one waits", || waiting() == 1).await;
    let cancelled: Vec<_> = (0..100).map(|_| tokio::spawn(rig.main.lease())).collect();
    eventually_async(SOON, "all wait", || waiting() == 101).await;
    for caller in cancelled {
        caller.abort();
        drop(caller.await);
    }
    rig.supervisor.sweep().await;
    assert_eq!(waiting(), 1);
    drop(lease);
    drop(patient.await.expect("a task").expect("its turn"));
    rig.end().await;
}
