//! Goal: the circuit of a server that does not answer opens as soon for callers that give up early as for
//! callers that wait, and a server that is slow for one of them only stays in use. Method: a real
//! server is frozen with SIGSTOP under callers that give up in either way; another one runs slow commands.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use redis::cmd;
use redis_steward::{CircuitState, Database, DatabaseConfig, HealthState, Reason};
use tokio::time::timeout;

use crate::common::{Rig, eventually_async};

const SOON: Duration = Duration::from_secs(20);
/// The patience of a caller that gives up: less than the time after which a reply is slow.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two calls.
const EVERY: Duration = Duration::from_millis(20);
/// The circuit is to open within this time, whatever the callers do.
const BOUND: Duration = Duration::from_secs(3);

/// How long the circuit takes to open once the server is frozen under such calls.
async fn opens_after<F>(call: impl Fn(Database) -> F + Send + 'static) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let rig = Rig::start().await;
    let main = rig.main.clone();
    let load = tokio::spawn(async move {
        loop {
            tokio::spawn(call(main.clone()));
            tokio::time::sleep(EVERY).await;
        }
    });
    let has_answered = || rig.stats().succeeded >= 50;
    eventually_async(SOON, "calls are answered", has_answered).await;
    assert_eq!(rig.stats().circuit, CircuitState::Closed);
    rig.server.freeze();
    let is_open = || rig.stats().circuit == CircuitState::Open;
    let took = eventually_async(SOON, "the circuit is open", is_open).await;
    load.abort();
    rig.server.thaw();
    rig.supervisor.ready(SOON).await.expect("ready again");
    rig.supervisor.shutdown(SOON).await;
    took
}

async fn get(database: Database) {
    let _ = database.query::<Option<String>>(cmd("GET").arg("k")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_circuit_opens_as_soon_for_callers_that_give_up() {
    let waiting = opens_after(get).await;
    let dropped = opens_after(async |main: Database| {
        let _ = timeout(PATIENCE, get(main)).await;
    });
    let dropped = dropped.await;
    let limited = opens_after(|main| get(main.with_timeout(PATIENCE))).await;
    println!("opens after {waiting:?}; dropped: {dropped:?}; limited: {limited:?}");
    assert!(waiting < BOUND, "{waiting:?}");
    for took in [dropped, limited] {
        assert!(took <= waiting + Duration::from_secs(1), "{took:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_slow_for_a_caller_in_a_hurry_stays_in_use() {
    // DEBUG SLEEP keeps the server busy for as long as it says.
    let adjust = |main: DatabaseConfig| {
        let main = main.attempt_timeout(Duration::from_millis(200));
        main.allow_admin(true)
    };
    let rig = Rig::with(adjust).await;
    let slow = cmd("DEBUG").arg("SLEEP").arg("0.22").take();
    let hasty = rig.main.with_timeout(Duration::from_millis(50));
    let mut events = rig.supervisor.subscribe();
    let mut answered = 0;
    let start = Instant::now();
    while start.elapsed() < BOUND {
        hasty.query::<()>(&slow).await.expect_err("it gives up");
        for _ in 0..10 {
            let pong: String = rig.main.query(cmd("PING")).await.expect("an answer");
            assert_eq!(pong, "PONG");
            answered += 1;
        }
        assert_eq!(rig.stats().circuit, CircuitState::Closed);
    }
    assert!(answered >= 50, "{answered}");
    // It was noticed nevertheless.
    let reason = Reason::Unresponsive;
    let noticed = async {
        while events.next().await.map(|event| event.state) != Some(HealthState::Degraded { reason })
        {
        }
    };
    timeout(SOON, noticed).await.expect("it is noticed");
    rig.end().await;
}
