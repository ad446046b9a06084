//! Goal: an operator can isolate a database, put it back, and close its circuit. Method: a real server
//! that counts the commands it receives.

use std::time::Duration;

use redis::cmd;
use redis_steward::{CircuitState, DatabaseConfig, Error, Execution, HealthState};

use crate::common::{RedisServer, eventually_async, spawn};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn an_isolated_database_refuses_everything_until_it_is_reset() {
    let server = RedisServer::start();
    let interval = Duration::from_millis(50);
    let main = DatabaseConfig::from_url(server.url()).health_check_interval(interval);
    let (supervisor, main) = spawn(main).await;
    supervisor.isolate("main").await.expect("isolated");
    let pings = server.commandstat("ping");
    for _ in 0..100 {
        let error = main.query::<()>(cmd("INCR").arg("n")).await;
        let error = error.expect_err("isolated");
        assert!(matches!(error, Error::Isolated { .. }), "{error}");
        assert_eq!(error.execution(), Execution::NotSent);
    }
    let stats = || supervisor.statistics().databases["main"].clone();
    assert_eq!(stats().health, HealthState::Isolated);
    assert_eq!(stats().circuit, CircuitState::Open);
    // Successful probes do not end the isolation.
    let probed = || server.commandstat("ping") > pings + 3;
    eventually_async(SOON, "it was probed", probed).await;
    assert_eq!(stats().health, HealthState::Isolated);
    assert_eq!(server.commandstat("incr"), 0);

    supervisor.reset("main").await.expect("reset");
    let count: i64 = main.query(cmd("INCR").arg("n")).await.expect("at once");
    assert_eq!(count, 1);
    eventually_async(SOON, "it is healthy", || {
        stats().health == HealthState::Healthy
    })
    .await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_reset_closes_a_circuit_that_probes_would_keep_open() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let circuit = || supervisor.statistics().databases["main"].circuit;
    server.kill();
    eventually_async(SOON, "it opens", || circuit() == CircuitState::Open).await;
    supervisor.reset("main").await.expect("reset");
    // Commands wait for the server again instead of failing at once.
    let call = tokio::spawn(async move { main.query::<String>(cmd("PING")).await });
    let parked = || supervisor.statistics().databases["main"].pool.parked;
    eventually_async(SOON, "it waits", || parked() == 1).await;
    server.restart();
    assert_eq!(call.await.expect("a task").expect("pong"), "PONG");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn operator_actions_fail_for_unknown_databases_and_after_shutdown() {
    let server = RedisServer::start();
    let (supervisor, _main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let unknown = |error: Result<(), Error>| {
        let error = error.expect_err("there is none");
        assert!(matches!(error, Error::UnknownDatabase { .. }), "{error}");
    };
    unknown(supervisor.isolate("other").await);
    unknown(supervisor.reset("other").await);
    unknown(supervisor.revive("other").await);
    // A database that has not failed is left alone.
    supervisor.revive("main").await.expect("nothing to do");
    assert_eq!(supervisor.statistics().databases["main"].pool.restarts, 0);
    supervisor.shutdown(SOON).await;
    let ended = |error: Result<(), Error>| {
        let error = error.expect_err("it has ended");
        assert!(matches!(error, Error::ShuttingDown { .. }), "{error}");
    };
    ended(supervisor.isolate("main").await);
    ended(supervisor.reset("main").await);
    ended(supervisor.revive("main").await);
}
