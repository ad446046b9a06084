//! The server is loading its dataset.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use redis::cmd;
use redis_steward::{
    CircuitState, Config, DatabaseConfig, Error, Execution, HealthState, Reason, Stage, Supervisor,
};
use tokio::task::JoinHandle;

use crate::{
    SOON,
    common::{
        RedisServer, eventually_async, launch::Builder, left_out_on_embedded, silent_while_loading,
        spawn,
    },
    degraded, error_within, event_of, incr, stats,
};

/// A server that loads five keys in a millisecond.
fn slow_loader() -> Builder {
    RedisServer::builder()
        .arg("key-load-delay", "200")
        .arg("loading-process-events-interval-bytes", "1024")
}

/// Such a server, with keys that take more than a second to load.
fn slowly_loading() -> Arc<RedisServer> {
    let server = slow_loader().start();
    assert_eq!(server.cli(&["DEBUG", "POPULATE", "8000"]), "OK");
    Arc::new(server)
}

/// Makes the server load its dataset again, and answers its reply once it has.
fn reload(server: &Arc<RedisServer>) -> JoinHandle<String> {
    let server = server.clone();
    tokio::task::spawn_blocking(move || server.cli(&["DEBUG", "RELOAD"]))
}

fn is_loading(server: &RedisServer) -> bool {
    server.info("persistence")["loading"] == "1"
}

/// Deviation: the error has no estimate of the remaining time, and the database is degraded meanwhile.
#[tokio::test]
async fn row_14_loading_at_startup() {
    if left_out_on_embedded() {
        return;
    }
    if silent_while_loading() {
        return;
    }
    let server = slow_loader().start();
    assert_eq!(server.cli(&["DEBUG", "POPULATE", "20000"]), "OK");
    assert_eq!(server.cli(&["SAVE"]), "OK");
    server.restart_without_waiting();
    server.wait_accepting();
    assert!(is_loading(&server), "the injection works");

    let main = DatabaseConfig::from_url(server.url())
        .connect_timeout(Duration::from_millis(300))
        .failure_threshold(1_000);
    let config = Config::new().database("main", main);
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    let mut events = supervisor.subscribe();
    let main = supervisor.database("main").expect("main");
    event_of(&mut events, degraded(Reason::Loading)).await;
    assert_eq!(stats(&supervisor).pool.opened, 0, "it is not admitted");
    let error = error_within(Duration::from_millis(50), &main, &incr()).await;
    assert_eq!(error.execution(), Execution::NotSent);
    match &error {
        Error::TimedOut {
            stage, last_error, ..
        } => {
            assert_eq!(*stage, Stage::Connect);
            assert!(
                last_error
                    .as_ref()
                    .is_some_and(|error| error.contains("loading"))
            );
        }
        other => panic!("another error: {other}"),
    }
    let patient = main.with_timeout(SOON);
    let keys: i64 = patient.query(cmd("DBSIZE")).await.expect("waited for");
    assert_eq!(keys, 20_000);
    assert_eq!(server.commandstat("incr"), 0);
    supervisor.ready(SOON).await.expect("ready");
    event_of(&mut events, HealthState::Healthy).await;
    supervisor.shutdown(SOON).await;
}

/// Deviation: the connection is retired, and the command waits for a new one until its deadline.
#[tokio::test]
async fn row_15_loading_at_run_time() {
    if left_out_on_embedded() {
        return;
    }
    if silent_while_loading() {
        return;
    }
    let server = slowly_loading();
    let main = DatabaseConfig::from_url(server.url()).command_timeout(SOON);
    let (supervisor, main) = spawn(main).await;
    let mut events = supervisor.subscribe();
    let reload = reload(&server);
    eventually_async(SOON, "it loads", || is_loading(&server)).await;
    let count: i64 = main.query(incr()).await.expect("waited for");
    assert_eq!(count, 1);
    event_of(&mut events, degraded(Reason::Loading)).await;
    assert!(server.errorstat("LOADING") > 0, "it was refused");
    assert_eq!(server.commandstat("incr"), 1);
    let stats = stats(&supervisor);
    assert_eq!((stats.retried, stats.pool.opened), (1, 2));
    assert_eq!(reload.await.expect("reload"), "OK");
    supervisor.ready(SOON).await.expect("ready again");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_15_many_calls_wait_for_loading() {
    if left_out_on_embedded() {
        return;
    }
    if silent_while_loading() {
        return;
    }
    let server = slowly_loading();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let reload = reload(&server);
    eventually_async(SOON, "it loads", || is_loading(&server)).await;
    let size = cmd("DBSIZE");
    let calls = (0..20).map(|_| main.query::<i64>(&size));
    for keys in join_all(calls).await {
        assert_eq!(keys.expect("waited for"), 8_000);
    }
    assert!(stats(&supervisor).retried > 0);
    assert_eq!(reload.await.expect("reload"), "OK");
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_15_increments_during_loading_run_once_or_are_refused() {
    if left_out_on_embedded() {
        return;
    }
    if silent_while_loading() {
        return;
    }
    let server = slowly_loading();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let reload = reload(&server);
    let (mut executed, mut refused) = (0, 0);
    while !reload.is_finished() {
        match main.query::<i64>(incr()).await {
            Ok(_) => executed += 1,
            Err(error) => {
                let is_loading =
                    error.code() == Some("LOADING") || error.to_string().contains("loading");
                assert!(is_loading, "{error}");
                let did_not_run = matches!(
                    error.execution(),
                    Execution::NotExecuted | Execution::NotSent
                );
                assert!(did_not_run, "{error}");
                refused += 1;
            }
        }
    }
    assert_eq!(reload.await.expect("reload"), "OK");
    let retried = stats(&supervisor).retried;
    assert!(refused + retried > 0, "the injection works");
    supervisor.ready(SOON).await.expect("ready again");
    let is_closed = || stats(&supervisor).circuit == CircuitState::Closed;
    eventually_async(SOON, "the circuit is closed", is_closed).await;
    // Increments before the reload were saved and loaded with the rest.
    let count: i64 = main.query(incr()).await.expect("its reply");
    assert_eq!(count, executed + 1);
    supervisor.shutdown(SOON).await;
}
