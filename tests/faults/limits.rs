//! Limits: calls in flight, parked calls, and file descriptors of this process.

use std::{env, fs::File, process::Command, time::Duration};

use redis::cmd;
use redis_steward::{CircuitState, DatabaseConfig, Error, Execution, HealthState, Limit, Reason};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    Call, Rig, SOON, begin,
    common::{RedisServer, eventually_async, spawn},
    degraded, error_of, error_within, event_of, incr, stats,
};

/// Checks that `expected` of the calls are refused because of this limit. Returns the other calls.
async fn refused(calls: Vec<Call>, expected: usize, limit: Limit) -> Vec<Call> {
    let count = |calls: &[Call]| calls.iter().filter(|call| call.is_finished()).count();
    eventually_async(SOON, "the excess is refused", || count(&calls) == expected).await;
    let (refused, waiting) = calls
        .into_iter()
        .partition::<Vec<_>, _>(|call| call.is_finished());
    for call in refused {
        let error = call.await.expect("a task").expect_err("refused");
        assert_eq!(error.execution(), Execution::NotSent);
        match error {
            Error::Overloaded { limit: reached, .. } => assert_eq!(reached, limit),
            other => panic!("another error: {other}"),
        }
    }
    waiting
}

/// From now on writes wait, and so does everything behind them on the same connection.
fn pause_writes(rig: &Rig) {
    let pause = ["CLIENT", "PAUSE", "60000", "WRITE"];
    assert_eq!(rig.server.cli(&pause), "OK");
}

/// Deviation: callers share one connection and do not wait for it. Bounds on calls and bytes in flight
/// take the place of an acquire timeout.
#[tokio::test]
async fn row_38_saturated() {
    let rig = Rig::with(|main| {
        let main = main.max_in_flight(100).failure_threshold(2);
        main.command_timeout(SOON)
    })
    .await;
    pause_writes(&rig);
    let calls = (0..10_000).map(|_| begin(&rig.main, &incr())).collect();
    let mut waiting = refused(calls, 9_900, Limit::Commands(100)).await;
    match error_of(&rig.main, &incr()).await {
        Error::Overloaded {
            in_flight, parked, ..
        } => assert_eq!((in_flight, parked), (100, 0)),
        other => panic!("another error: {other}"),
    }
    let stats = rig.stats();
    assert_eq!((stats.refused, stats.in_flight), (9_901, 100));
    assert_eq!(stats.circuit, CircuitState::Closed, "the server works");
    assert_eq!(stats.health, HealthState::Healthy);

    // A cancelled call makes no room yet: the server still has to answer its command.
    waiting.pop().expect("a caller").abort();
    assert_eq!(rig.server.cli(&["CLIENT", "UNPAUSE"]), "OK");
    for call in waiting {
        call.await.expect("a task").expect("its reply");
    }
    assert_eq!(rig.server.commandstat("incr"), 100);
    let counts = || {
        let stats = rig.stats();
        (stats.succeeded, stats.cancelled, stats.refused)
    };
    eventually_async(SOON, "all are counted", || counts() == (99, 1, 9_901)).await;
    let count: i64 = rig.main.query(incr()).await.expect("there is room again");
    assert_eq!(count, 101);
    rig.end().await;
}

#[tokio::test]
async fn row_38_saturated_with_bytes() {
    const MIB: usize = 1 << 20;
    let rig = Rig::with(|main| main.max_in_flight_bytes(MIB).command_timeout(SOON)).await;
    let set = |bytes| cmd("SET").arg("k").arg("x".repeat(bytes)).take();
    let begin_set = |bytes| {
        let (main, set) = (rig.main.clone(), set(bytes));
        tokio::spawn(async move { main.execute(&set).await })
    };
    match error_of(&rig.main, &set(2 * MIB)).await {
        Error::Overloaded {
            limit: Limit::Bytes(MIB),
            ..
        } => {}
        other => panic!("it never fits, and {other}"),
    }

    pause_writes(&rig);
    let mut waiting: Vec<_> = (0..3).map(|_| begin_set(300_000)).collect();
    let in_flight = || rig.stats().in_flight;
    eventually_async(SOON, "three are in flight", || in_flight() == 3).await;
    match error_of(&rig.main, &set(300_000)).await {
        Error::Overloaded {
            in_flight: 3,
            in_flight_bytes,
            limit: Limit::Bytes(MIB),
            ..
        } => {
            let expected = 900_000..MIB;
            assert!(expected.contains(&in_flight_bytes), "{in_flight_bytes}");
        }
        other => panic!("another error: {other}"),
    }
    waiting.push(begin_set(1));
    eventually_async(SOON, "a small one fits", || in_flight() == 4).await;
    assert_eq!(rig.stats().circuit, CircuitState::Closed);

    assert_eq!(rig.server.cli(&["CLIENT", "UNPAUSE"]), "OK");
    for call in waiting {
        call.await.expect("a task").expect("its reply");
    }
    let counts = || (rig.stats().succeeded, rig.stats().refused, in_flight());
    eventually_async(SOON, "all are counted", || counts() == (4, 2, 0)).await;
    let again = rig.main.execute(&set(300_000)).await;
    again.expect("there is room again");
    rig.end().await;
}

#[tokio::test]
async fn row_39_too_many_parked_calls() {
    let server = RedisServer::start();
    let main = DatabaseConfig::from_url(server.url())
        .max_parked(50)
        .command_timeout(SOON)
        .failure_threshold(10_000);
    let (supervisor, main) = spawn(main).await;
    server.kill();
    let failures = || stats(&supervisor).pool.dial_failures;
    eventually_async(SOON, "it has no connection", || failures() > 0).await;
    let calls = (0..1_000).map(|_| begin(&main, &incr())).collect();
    let waiting = refused(calls, 950, Limit::Parked(50)).await;
    assert_eq!(stats(&supervisor).pool.parked, 50);
    server.restart();
    for call in waiting {
        call.await.expect("a task").expect("its reply");
    }
    assert_eq!(server.commandstat("incr"), 50);
    supervisor.shutdown(SOON).await;
}

const URL: &str = "REDIS_STEWARD_TEST_EMFILE_URL";

/// The limit holds for the whole process, so the test runs itself again in a child process.
#[tokio::test]
async fn row_45_no_file_descriptor_left() {
    if let Ok(url) = env::var(URL) {
        return without_file_descriptors(url).await;
    }
    let server = RedisServer::start();
    let this = "limits::row_45_no_file_descriptor_left";
    let own = env::current_exe().expect("this program");
    let url = server.url();
    let run = move || {
        Command::new(own)
            .args(["--exact", this])
            .env(URL, url)
            .output()
    };
    let output = tokio::task::spawn_blocking(run).await.expect("a task");
    let output = output.expect("this program runs again");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}");
    assert!(stdout.contains("1 passed"), "{stdout}");
    assert_eq!(server.commandstat("incr"), 2);
}

async fn without_file_descriptors(url: String) {
    let main = DatabaseConfig::from_url(url).allow_admin(true);
    let (supervisor, main) = spawn(main.failure_threshold(10_000)).await;
    let mut events = supervisor.subscribe();
    // Open files stay open, but the number of a closed one is above the limit and cannot be reused.
    let usual = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(3),
        ..usual
    };
    setrlimit(Resource::Nofile, none).expect("a lower limit");
    let error = File::open("/dev/null").expect_err("the injection works");
    assert!(error.to_string().contains("Too many open files"), "{error}");
    let count: i64 = main.query(incr()).await.expect("it is open already");
    assert_eq!(count, 1);

    let kill = cmd("CLIENT")
        .arg("KILL")
        .arg("TYPE")
        .arg("normal")
        .arg("SKIPME")
        .arg("no")
        .take();
    let killed: i64 = main.query(kill).await.expect("its own end");
    assert_eq!(killed, 1);
    let event = event_of(&mut events, degraded(Reason::Unreachable)).await;
    let cause = event.cause.expect("a cause");
    assert!(cause.contains("Too many open files"), "{cause}");
    let error = error_within(Duration::from_millis(300), &main, &incr()).await;
    assert_eq!(error.execution(), Execution::NotSent, "{error}");
    assert_eq!(stats(&supervisor).pool.dial_failures, 1, "it does not spin");

    setrlimit(Resource::Nofile, usual).expect("the usual limit");
    supervisor.ready(SOON).await.expect("ready again");
    let count: i64 = main.query(incr()).await.expect("a new connection");
    assert_eq!(count, 2);
    supervisor.shutdown(SOON).await;
}
