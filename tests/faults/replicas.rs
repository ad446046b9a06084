//! A server whose place in its replication is not what its clients need.

use redis_steward::Execution::NotExecuted;
use redis_steward::{CircuitState, HealthState, Reason};

use crate::{Rig, SOON, degraded, error_of, event_of, event_of_outage, get, incr, refusal};

/// No server listens there.
const NOWHERE: [&str; 3] = ["REPLICAOF", "127.0.0.1", "1"];

#[tokio::test]
async fn row_16_readonly() {
    let rig = Rig::start().await;
    let mut events = rig.supervisor.subscribe();
    assert_eq!(rig.server.cli(&NOWHERE), "OK");
    let error = error_of(&rig.main, &incr()).await;
    assert_eq!(refusal(&error), ("READONLY", NotExecuted, 2));
    assert_eq!(rig.server.errorstat("READONLY"), 2);
    assert_eq!(rig.stats().pool.opened, 2, "asked over a new connection");
    event_of(&mut events, degraded(Reason::ReadOnly)).await;
    let value: Option<i64> = rig.main.query(get()).await.expect("a read");
    assert_eq!(value, None);
    assert_eq!(rig.stats().circuit, CircuitState::Closed);

    assert_eq!(rig.server.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
    event_of(&mut events, HealthState::Healthy).await;
    let count: i64 = rig.main.query(incr()).await.expect("a primary");
    assert_eq!(count, 1);
    rig.end().await;
}

#[tokio::test]
async fn row_17_masterdown() {
    let rig = Rig::with(|main| main.failure_threshold(20)).await;
    let mut events = rig.supervisor.subscribe();
    let stale = ["CONFIG", "SET", "replica-serve-stale-data", "no"];
    assert_eq!(rig.server.cli(&stale), "OK");
    assert_eq!(rig.server.cli(&NOWHERE), "OK");
    let error = error_of(&rig.main, &get()).await;
    assert_eq!(refusal(&error), ("MASTERDOWN", NotExecuted, 3));
    event_of(&mut events, degraded(Reason::PrimaryDown)).await;
    while rig.stats().circuit == CircuitState::Closed {
        // The one that meets an open circuit is the last.
        error_of(&rig.main, &get()).await;
    }
    event_of_outage(&mut events, Reason::PrimaryDown).await;
    assert_eq!(rig.server.commandstat("get"), 0);

    assert_eq!(rig.server.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
    rig.supervisor.ready(SOON).await.expect("ready again");
    let value: Option<i64> = rig.main.query(get()).await.expect("a read");
    assert_eq!(value, None);
    rig.end().await;
}

#[tokio::test]
async fn row_18_noreplicas() {
    let rig = Rig::start().await;
    let mut events = rig.supervisor.subscribe();
    let demand = |replicas| ["CONFIG", "SET", "min-replicas-to-write", replicas];
    assert_eq!(rig.server.cli(&demand("1")), "OK");
    let error = error_of(&rig.main, &incr()).await;
    assert_eq!(refusal(&error), ("NOREPLICAS", NotExecuted, 3));
    assert_eq!(rig.server.errorstat("NOREPLICAS"), 3);
    for _ in 0..10 {
        error_of(&rig.main, &incr()).await;
    }
    event_of(&mut events, degraded(Reason::NoReplicas)).await;
    let value: Option<i64> = rig.main.query(get()).await.expect("a read");
    assert_eq!(value, None);
    assert_eq!(rig.stats().circuit, CircuitState::Closed);
    assert_eq!(rig.stats().pool.opened, 1);
    assert_eq!(rig.server.cli(&demand("0")), "OK");
    let count: i64 = rig.main.query(incr()).await.expect("a write");
    assert_eq!(count, 1);
    rig.end().await;
}
