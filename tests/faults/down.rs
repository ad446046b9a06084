//! The server is down: from the start, since a moment ago, or because its name does not resolve.

use std::time::{Duration, Instant};

use redis_steward::{
    CircuitState, Config, DatabaseConfig, Error, Execution, Reason, Stage, Supervisor,
};

use crate::{
    Rig, SLACK, SOON, begin,
    common::{FaultProxy, RedisServer, eventually_async, ports::free_port, spawn},
    degraded, error_within, event, event_of, event_of_outage, get, incr, lost, stats, until_open,
};

/// The call has waited for a connection, and says why there was none.
#[track_caller]
fn assert_refused_dial(error: &Error) {
    assert_eq!(error.execution(), Execution::NotSent, "{error}");
    match error {
        Error::TimedOut {
            stage, last_error, ..
        } => {
            assert_eq!(*stage, Stage::Connect);
            let last_error = last_error.as_deref().expect("a reason");
            assert!(last_error.contains("refused"), "{last_error}");
        }
        other => panic!("another error: {other}"),
    }
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn row_01_server_down_at_start() {
    // Failed probes count at most four times per attempt timeout.
    let main = DatabaseConfig::from_url(format!("redis://127.0.0.1:{}", free_port()))
        .command_timeout(Duration::from_secs(1))
        .attempt_timeout(Duration::from_secs(1))
        .failure_threshold(10);
    let start = Instant::now();
    let config = Config::new().database("main", main);
    let supervisor = Supervisor::spawn(config).await.expect("needs no server");
    assert!(
        start.elapsed() < SLACK,
        "spawn does not wait for the server"
    );
    let mut events = supervisor.subscribe();
    let main = supervisor.database("main").expect("main");

    let calls: Vec<_> = (0..100).map(|_| begin(&main, &incr())).collect();
    let parked = || stats(&supervisor).pool.parked;
    eventually_async(SOON, "all wait for a connection", || parked() == 100).await;
    let event = event_of(&mut events, degraded(Reason::Unreachable)).await;
    let cause = event.cause.expect("a cause");
    assert!(cause.contains("refused"), "{cause}");
    let now = stats(&supervisor);
    assert_eq!(now.pool.dial_failures, 1, "one dial for all waiting calls");
    assert_eq!(now.circuit, CircuitState::Closed, "one failure for all");
    for call in calls {
        assert_refused_dial(&call.await.expect("a task").expect_err("no server"));
    }
    assert!(start.elapsed() < Duration::from_secs(1) + 2 * SLACK);

    event_of_outage(&mut events, Reason::Unreachable).await;
    let error = error_within(SOON, &main, &incr()).await;
    assert!(matches!(error, Error::CircuitOpen { .. }), "{error}");
    assert_eq!(error.execution(), Execution::NotSent);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_01_a_parked_call_runs_when_the_server_comes() {
    let server = RedisServer::start();
    server.kill();
    let main = DatabaseConfig::from_url(server.url()).failure_threshold(10_000);
    let config = Config::new().database("main", main);
    let supervisor = Supervisor::spawn(config)
        .await
        .expect("spawn needs no server");
    let main = supervisor.database("main").expect("main");
    let waiting = begin(&main, &incr());
    let parked = || stats(&supervisor).pool.parked;
    eventually_async(SOON, "the call is parked", || parked() == 1).await;
    server.restart();
    let count = waiting
        .await
        .expect("a task")
        .expect("waited for the server");
    assert_eq!(count, 1);
    eventually_async(SOON, "nothing is parked", || parked() == 0).await;
    supervisor.ready(SOON).await.expect("ready");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_02_dies_while_idle() {
    let server = RedisServer::start();
    let main = DatabaseConfig::from_url(server.url()).failure_threshold(1_000);
    let (supervisor, main) = spawn(main).await;
    server.kill();
    server.restart();
    let count: i64 = main
        .query(incr())
        .await
        .expect("the closed connection is not used");
    assert_eq!(count, 1);
    // A connection is looked at before it is used once it has been idle for a millisecond, and some
    // servers die faster than that.
    tokio::time::sleep(Duration::from_millis(5)).await;
    server.kill();
    let failures = || stats(&supervisor).pool.dial_failures;
    eventually_async(SOON, "a dial has failed", || failures() > 0).await;
    let error = error_within(Duration::from_millis(300), &main, &incr()).await;
    assert_refused_dial(&error);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_03_dies_mid_command() {
    // The circuit would open if each of the calls counted as a failure.
    let rig = Rig::with(|main| main.failure_threshold(32)).await;
    let writes = rig.begin_unanswered(&incr(), 32).await;
    let reads = rig.begin_unanswered(&get(), 1).await;
    let killed = Instant::now();
    rig.server.kill();
    for write in writes {
        let error = write.await.expect("a task").expect_err("no reply");
        assert_eq!(lost(&error), 1);
    }
    assert!(
        killed.elapsed() < SLACK,
        "the calls fail before their deadline"
    );
    assert_eq!(rig.stats().circuit, CircuitState::Closed, "one failure");

    rig.proxy.heal();
    rig.server.restart();
    for read in reads {
        // The read is sent again. The restarted server has no such key.
        let error = read.await.expect("a task").expect_err("no number");
        assert!(matches!(error, Error::Conversion { .. }), "{error}");
    }
    assert_eq!(rig.stats().retried, 1);
    assert_eq!(rig.server.commandstat("get"), 1);
    assert_eq!(rig.server.commandstat("incr"), 0, "no write came again");
    rig.end().await;
}

#[tokio::test]
async fn row_04_graceful_shutdown() {
    let rig = Rig::with(|main| main.failure_threshold(1_000)).await;
    let executed = rig.begin_unanswered(&incr(), 1).await;
    rig.server.shutdown();
    for call in executed {
        let error = call.await.expect("a task").expect_err("no reply");
        assert_eq!(lost(&error), 1);
    }
    rig.proxy.heal();
    let waiting = begin(&rig.main, &incr());
    let parked = || rig.stats().pool.parked;
    eventually_async(SOON, "it waits for a connection", || parked() == 1).await;
    rig.server.restart();
    assert_eq!(waiting.await.expect("a task").expect("its reply"), 1);
    assert_eq!(rig.server.commandstat("incr"), 1);
    rig.end().await;
}

/// Deviation: the system resolves names, so a test cannot change an address.
#[tokio::test]
async fn row_46_name_does_not_resolve() {
    let main = DatabaseConfig::from_url("redis://no-such-host.invalid");
    let config = Config::new().database("main", main.failure_threshold(2));
    let supervisor = Supervisor::spawn(config).await.expect("needs no server");
    let mut events = supervisor.subscribe();
    let main = supervisor.database("main").expect("main");
    let error = error_within(Duration::from_millis(300), &main, &incr()).await;
    assert_eq!(error.execution(), Execution::NotSent, "{error}");
    let event = event(&mut events, |event| event.cause.is_some()).await;
    assert_eq!(event.state, degraded(Reason::Unreachable));
    let cause = event.cause.expect("a cause");
    assert!(cause.contains("no-such-host.invalid"), "{cause}");
    until_open(&supervisor).await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_47_reconnect_storm() {
    const DATABASES: usize = 100;
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let config = (0..DATABASES).fold(Config::new(), |config, number| {
        // With an open circuit, probes would dial as well.
        let database = DatabaseConfig::from_url(proxy.url()).failure_threshold(10_000);
        config.database(format!("database-{number}"), database)
    });
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    proxy.refuse();
    proxy.reset_all();
    let all_failed = || {
        let stats = supervisor.statistics();
        stats
            .databases
            .values()
            .all(|stats| stats.pool.dial_failures > 0)
    };
    eventually_async(SOON, "all have failed to reconnect", all_failed).await;

    let before = proxy.accepted();
    proxy.heal();
    supervisor.ready(SOON).await.expect("all are back");
    let dials = proxy.accepted() - before;
    assert!(dials <= DATABASES + 10, "{dials} dials");
    for (name, stats) in supervisor.statistics().databases {
        assert_eq!((stats.pool.open, stats.pool.opened), (1, 2), "{name}");
    }
    supervisor.shutdown(SOON).await;
}
