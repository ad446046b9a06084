//! A server that is loading its dataset.

use std::{sync::Arc, time::Duration};

use redis::cmd;
use redis_steward::{Config, DatabaseConfig, Error, Execution, Reason, Stage, Supervisor};

use crate::{
    SOON,
    common::{RedisServer, eventually_async, launch::Builder, silent_while_loading, spawn},
    degraded, error_within, event_of, incr, stats,
};

/// A server that takes a millisecond for five keys.
fn slow_loader() -> Builder {
    RedisServer::builder()
        .arg("key-load-delay", "200")
        .arg("loading-process-events-interval-bytes", "1024")
}

fn is_loading(server: &RedisServer) -> bool {
    server.info("persistence")["loading"] == "1"
}

/// Deviation: loading has no estimate in the error, and degrades the database until it is over.
#[tokio::test]
async fn row_14_loading_at_startup() {
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
            assert!(last_error.as_ref().is_some_and(|it| it.contains("loading")));
        }
        other => panic!("another error: {other}"),
    }
    let patient = main.with_timeout(SOON);
    let keys: i64 = patient.query(cmd("DBSIZE")).await.expect("waited for");
    assert_eq!(keys, 20_000);
    assert_eq!(server.commandstat("incr"), 0);
    supervisor.shutdown(SOON).await;
}

/// Deviation: the connection is retired, and the command waits for a new one until its deadline.
#[tokio::test]
async fn row_15_loading_at_run_time() {
    if silent_while_loading() {
        return;
    }
    let server = Arc::new(slow_loader().start());
    assert_eq!(server.cli(&["DEBUG", "POPULATE", "8000"]), "OK");
    let main = DatabaseConfig::from_url(server.url()).command_timeout(SOON);
    let (supervisor, main) = spawn(main).await;
    let mut events = supervisor.subscribe();
    let reload = tokio::task::spawn_blocking({
        let server = server.clone();
        move || server.cli(&["DEBUG", "RELOAD"])
    });
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
