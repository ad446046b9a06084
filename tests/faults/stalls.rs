//! The server does not answer: it is frozen or paused, or the network swallows its replies.

use std::{
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use redis_steward::{
    CircuitState, Config, DatabaseConfig, Error, Execution, Reason, Stage, Supervisor,
};

use crate::{
    Rig, SOON, assert_own_replies, begin,
    common::{Mode, RedisServer, eventually_async, left_out_on_embedded},
    degraded, error_within, event, event_of_outage, get, incr, stats, until_open,
};

const TIMEOUT: Duration = Duration::from_millis(500);
/// How late a call may end: a few milliseconds, and the rest for a machine that is busy.
const LATE: Duration = Duration::from_millis(250);

/// The attempt timeout equals the deadline, so every timeout counts against the server.
fn short_timeouts(main: DatabaseConfig) -> DatabaseConfig {
    main.command_timeout(TIMEOUT)
        .attempt_timeout(TIMEOUT)
        .connect_timeout(Duration::from_millis(400))
}

/// Calls end by their deadline and may have run. Five of them open the circuit.
async fn calls_time_out(rig: &Rig, calls: usize) {
    let incr = incr();
    let calls = (0..calls).map(|_| async {
        let start = Instant::now();
        let result = rig.main.query::<i64>(&incr).await;
        (start.elapsed(), result)
    });
    for (took, result) in join_all(calls).await {
        let error = result.expect_err("the server does not answer");
        assert!(took < TIMEOUT + LATE, "{took:?}: {error}");
        assert_eq!(error.execution(), Execution::Unknown, "{error}");
    }
}

/// Deviation: a call ends at its deadline; the attempt timeout measures silence.
#[tokio::test]
async fn row_05_frozen() {
    let rig = Rig::with(short_timeouts).await;
    let mut events = rig.supervisor.subscribe();
    rig.server.freeze();
    calls_time_out(&rig, 5).await;
    let outage = event_of_outage(&mut events, Reason::Unresponsive).await;
    assert_eq!(outage.cause, None, "the calls opened it, and no probe");
    let error = error_within(TIMEOUT, &rig.main, &incr()).await;
    assert!(matches!(error, Error::CircuitOpen { .. }), "{error}");

    rig.server.thaw();
    rig.supervisor.ready(SOON).await.expect("ready again");
    // On the old connection these would get the replies of the calls that timed out.
    assert_own_replies(&rig.main).await;
    assert!(rig.stats().pool.opened >= 2, "a new connection");
    let executed = || rig.server.commandstat("incr");
    eventually_async(SOON, "all five ran in the end", || executed() == 5).await;
    assert_eq!(rig.stats().retried, 0);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_05_frozen_under_load() {
    let rig = Rig::with(short_timeouts).await;
    rig.server.freeze();
    calls_time_out(&rig, 200).await;
    until_open(&rig.supervisor).await;

    rig.server.thaw();
    rig.supervisor.ready(SOON).await.expect("ready again");
    // Every late reply is a number, and would show here.
    for _ in 0..10 {
        assert_own_replies(&rig.main).await;
    }
    let count: i64 = rig.main.query(get()).await.expect("the counter");
    assert_eq!(count, 200, "all ran, and none was sent again");
    rig.end().await;
}

/// The circuit must stay closed, because an opening circuit retires the connection as well.
#[tokio::test]
async fn row_05_a_silent_connection_is_replaced() {
    let rig = Rig::with(|main| {
        main.attempt_timeout(Duration::from_millis(200))
            .failure_threshold(10_000)
    })
    .await;
    rig.server.freeze();
    let hasty = rig.main.with_timeout(Duration::from_millis(50));
    let start = Instant::now();
    while rig.stats().pool.lost == 0 {
        let result: Result<i64, Error> = hasty.query(incr()).await;
        assert!(result.is_err());
        assert!(start.elapsed() < SOON, "it is still in use");
    }
    rig.server.thaw();
    assert_own_replies(&rig.main.with_timeout(SOON)).await;
    rig.end().await;
}

#[tokio::test]
async fn row_06_short_stall() {
    let rig = Rig::with(|main| main.attempt_timeout(Duration::from_millis(500))).await;
    rig.server.freeze();
    let calls: Vec<_> = (0..10).map(|_| begin(&rig.main, &incr())).collect();
    let slow = || rig.stats().slow;
    eventually_async(SOON, "all count as slow", || slow() == 10).await;
    rig.server.thaw();
    let mut counts = Vec::new();
    for call in calls {
        counts.push(call.await.expect("a task").expect("late"));
    }
    counts.sort_unstable();
    assert!(counts.into_iter().eq(1..=10), "each has its own reply");
    let stats = rig.stats();
    assert_eq!((stats.pool.opened, stats.pool.lost), (1, 0));
    assert_eq!(stats.circuit, CircuitState::Closed);
    rig.end().await;
}

/// Deviation: a read behind a paused write waits on the same shared connection.
#[tokio::test]
async fn row_07_writes_paused() {
    let rig = Rig::start().await;
    let pause = ["CLIENT", "PAUSE", "60000", "WRITE"];
    assert_eq!(rig.server.cli(&pause), "OK");
    let value: Option<i64> = rig.main.query(get()).await.expect("a read");
    assert_eq!(value, None);
    // Long enough to count against the server.
    let error = error_within(Duration::from_millis(1_100), &rig.main, &incr()).await;
    match error {
        Error::TimedOut {
            stage, execution, ..
        } => assert_eq!((stage, execution), (Stage::Reply, Execution::Unknown)),
        other => panic!("another error: {other}"),
    }
    let patient = begin(&rig.main.with_timeout(SOON), &incr());
    let in_flight = || rig.stats().in_flight;
    eventually_async(SOON, "it waits", || in_flight() == 2).await;
    assert_eq!(rig.server.commandstat("incr"), 0);
    assert_eq!(rig.server.cli(&["CLIENT", "UNPAUSE"]), "OK");
    let count = patient.await.expect("a task").expect("late");
    assert_eq!(count, 2, "the timed-out command has run as well");
    assert_eq!(rig.stats().circuit, CircuitState::Closed);
    rig.end().await;
}

/// Deviation: the kernel's timers would need a network that loses packets. The test covers silence.
#[tokio::test]
async fn row_08_half_open_both_ways() {
    let rig = Rig::with(short_timeouts).await;
    let mut events = rig.supervisor.subscribe();
    rig.proxy.set(Mode::BlackHole);
    calls_time_out(&rig, 5).await;
    let outage = event_of_outage(&mut events, Reason::Unresponsive).await;
    assert_eq!(outage.cause, None, "the calls opened it, and no probe");
    rig.proxy.heal();
    rig.supervisor.ready(SOON).await.expect("ready again");
    assert_own_replies(&rig.main).await;
    assert!(rig.stats().pool.opened >= 2, "a new connection");
    assert!(rig.server.commandstat("incr") <= 5, "nothing came twice");
    rig.end().await;
}

/// The five calls open the circuit before the silence rule applies.
#[tokio::test]
async fn row_09_an_opening_circuit_retires_the_connection() {
    let rig = Rig::with(short_timeouts).await;
    rig.proxy.set(Mode::SwallowReplies);
    calls_time_out(&rig, 5).await;
    until_open(&rig.supervisor).await;
    // On the old connection each reply would belong to the command before.
    rig.proxy.heal();
    rig.supervisor.ready(SOON).await.expect("ready again");
    for _ in 0..2 {
        assert_own_replies(&rig.main).await;
    }
    let pool = rig.stats().pool;
    assert_eq!((pool.open, pool.opened), (1, 2));
    rig.end().await;
}

#[tokio::test]
async fn row_10_syn_dropped() {
    if left_out_on_embedded() {
        return;
    }
    // The kernel drops SYNs once the accept queue of the frozen server is full.
    let server = RedisServer::builder().arg("tcp-backlog", "1").start();
    server.freeze();
    let address = SocketAddr::from(([127, 0, 0, 1], server.port()));
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, TIMEOUT) {
        queue.push(stream);
        assert!(queue.len() < 100, "the injection does not work");
    }

    let main = short_timeouts(DatabaseConfig::from_url(server.url()));
    let config = Config::new().database("main", main);
    let supervisor = Supervisor::spawn(config).await.expect("needs no server");
    let mut events = supervisor.subscribe();
    let main = supervisor.database("main").expect("main");
    let calls: Vec<_> = (0..50).map(|_| begin(&main, &incr())).collect();
    let event = event(&mut events, |event| event.cause.is_some()).await;
    assert_eq!(event.state, degraded(Reason::Unreachable));
    let cause = event.cause.expect("a cause");
    assert!(cause.contains("connect"), "{cause}");
    assert_eq!(stats(&supervisor).pool.dial_failures, 1, "one for all");
    for call in calls {
        let error = call.await.expect("a task").expect_err("no connection");
        assert_eq!(error.execution(), Execution::NotSent, "{error}");
    }
    // Repeated dials fail as well.
    event_of_outage(&mut events, Reason::Unreachable).await;

    server.thaw();
    supervisor.ready(SOON).await.expect("ready at last");
    let count: i64 = main.query(incr()).await.expect("its reply");
    assert_eq!(count, 1);
    supervisor.shutdown(SOON).await;
}
