//! Goal: a server that is loading its dataset is waited for, told apart from one that is down, and
//! then used. Method: a real server with a dataset and `key-load-delay`, which makes it take
//! seconds; and DEBUG RELOAD, which makes a running one load.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::cmd;
use redis_steward::{Config, DatabaseConfig, HealthState, Reason, Supervisor};

use crate::common::{RedisServer, eventually_async};

const SOON: Duration = Duration::from_secs(20);

fn slow_loader() -> crate::common::launch::Builder {
    RedisServer::builder()
        .arg("key-load-delay", "200")
        .arg("loading-process-events-interval-bytes", "1024")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_loading_is_waited_for_and_then_used() {
    let server = slow_loader().start();
    assert_eq!(server.cli(&["DEBUG", "POPULATE", "20000"]), "OK");
    assert_eq!(server.cli(&["SAVE"]), "OK");
    server.kill();
    server.restart_without_waiting();
    server.wait_accepting();

    let main = DatabaseConfig::from_url(server.url())
        .command_timeout(Duration::from_secs(15))
        // Shorter than the loading, so that it is reported and not only waited for.
        .connect_timeout(Duration::from_secs(1));
    let config = Config::new().database("main", main);
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    let mut events = supervisor.subscribe();
    let main = supervisor.database("main").expect("main");
    assert_eq!(
        server.info("persistence")["loading"],
        "1",
        "the injection works"
    );
    let start = Instant::now();
    let keys: i64 = main
        .query(cmd("DBSIZE"))
        .await
        .expect("waited until it was loaded");
    assert_eq!(keys, 20_000, "after {:?}", start.elapsed());

    supervisor.ready(SOON).await.expect("ready");
    let mut states = Vec::new();
    while let Some(event) = events.next().await {
        let is_healthy = event.state == HealthState::Healthy;
        states.push(event.state);
        if is_healthy {
            break;
        }
    }
    let loading = HealthState::Degraded {
        reason: Reason::Loading,
    };
    assert!(states.contains(&loading), "{states:?}");
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loading_at_run_time_costs_waiting_or_an_error_and_no_increment() {
    let server = Arc::new(slow_loader().start());
    assert_eq!(server.cli(&["DEBUG", "POPULATE", "8000"]), "OK");
    let supervisor = Supervisor::spawn(Config::single(server.url()))
        .await
        .expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let main = supervisor.database("main").expect("main");
    let reload = tokio::task::spawn_blocking({
        let server = server.clone();
        move || server.cli(&["DEBUG", "RELOAD"])
    });
    let mut refused = 0;
    let mut executed = 0;
    while !reload.is_finished() {
        match main.query::<i64>(cmd("INCR").arg("counter")).await {
            Ok(_) => executed += 1,
            Err(error) => {
                let is_loading =
                    error.code() == Some("LOADING") || error.to_string().contains("loading");
                assert!(is_loading, "{error}");
                assert!(
                    matches!(
                        error.execution(),
                        redis_steward::Execution::NotExecuted | redis_steward::Execution::NotSent
                    ),
                    "{error}"
                );
                refused += 1;
            }
        }
    }
    assert_eq!(reload.await.expect("reload"), "OK");
    let waited = supervisor.statistics().databases["main"].retried;
    assert!(refused + waited > 0, "the injection works");
    supervisor.ready(SOON).await.expect("ready again");
    let what = "commands work again";
    let circuit = || supervisor.statistics().databases["main"].circuit;
    eventually_async(SOON, what, || {
        circuit() == redis_steward::CircuitState::Closed
    })
    .await;
    // Increments before the reload were saved and loaded with the rest.
    let counter: i64 = main.query(cmd("INCR").arg("counter")).await.expect("incr");
    assert_eq!(counter, executed + 1);
    supervisor.shutdown(SOON).await;
}
