//! The server is a replica, or a primary without the required replicas.

use std::time::Instant;

use redis::cmd;
use redis_steward::{CircuitState, DatabaseConfig, Execution::NotExecuted, HealthState, Reason};

use crate::{
    Rig, SOON,
    common::{RedisServer, Script, ScriptedServer, left_out_on_embedded, spawn},
    degraded, error_of, event_of, event_of_outage, get, incr, refusal,
};

/// No server listens there.
const NOWHERE: [&str; 3] = ["REPLICAOF", "127.0.0.1", "1"];

#[tokio::test]
async fn row_16_readonly() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start().await;
    let mut events = rig.supervisor.subscribe();
    event_of(&mut events, HealthState::Healthy).await;
    let written: i64 = rig.main.query(incr()).await.expect("a primary");
    assert_eq!(written, 1);
    assert_eq!(rig.server.cli(&NOWHERE), "OK");
    let error = error_of(&rig.main, &incr()).await;
    assert_eq!(refusal(&error), ("READONLY", NotExecuted, 2));
    assert_eq!(rig.server.errorstat("READONLY"), 2);
    assert_eq!(rig.stats().pool.opened, 2, "asked over a new connection");
    event_of(&mut events, degraded(Reason::ReadOnly)).await;
    let value: i64 = rig.main.query(get()).await.expect("a read");
    assert_eq!(value, 1);
    assert_eq!(rig.stats().circuit, CircuitState::Closed);
    assert_eq!(rig.stats().health, degraded(Reason::ReadOnly));

    assert_eq!(rig.server.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
    event_of(&mut events, HealthState::Healthy).await;
    let count: i64 = rig.main.query(incr()).await.expect("a primary again");
    assert_eq!(count, 2);
    rig.end().await;
}

#[tokio::test]
async fn row_16_a_write_is_sent_again_over_a_new_connection() {
    // A name has moved from the old primary to the new one.
    let old = Script::answering(|_| {
        b"-READONLY You can't write against a read only replica.\r\n".to_vec()
    });
    let server = ScriptedServer::start([old, Script::answer_handshake()]);
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let mut events = supervisor.subscribe();
    let main = main.not_idempotent();
    let value: String = main.query(incr()).await.expect("the new one");
    assert_eq!(value, "OK");
    assert_eq!(server.count("INCR"), 2);
    let mut states = Vec::new();
    while states.len() < 3 {
        states.push(events.next().await.expect("an event").state);
    }
    assert_eq!(
        states,
        [
            HealthState::Healthy,
            degraded(Reason::ReadOnly),
            HealthState::Healthy
        ]
    );
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_16_a_replica_from_the_start_is_asked_twice() {
    if left_out_on_embedded() {
        return;
    }
    let server = RedisServer::start();
    assert_eq!(server.cli(&NOWHERE), "OK");
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let opened = || supervisor.statistics().databases["main"].pool.opened;
    let before = opened();
    let error = main.query::<()>(incr()).await;
    let error = error.expect_err("no write");
    assert_eq!(error.code(), Some("READONLY"));
    assert_eq!(error.execution(), NotExecuted);
    assert_eq!(opened(), before + 1);
    let read: Option<i64> = main.query(get()).await.expect("a read");
    assert_eq!(read, None);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_16_many_callers_open_one_new_connection() {
    if left_out_on_embedded() {
        return;
    }
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    // Earlier calls fill the retry budget, so that every refused call may retry.
    for _ in 0..1_000 {
        main.query::<()>(cmd("PING")).await.expect("pong");
    }
    assert_eq!(server.cli(&NOWHERE), "OK");
    let opened = || supervisor.statistics().databases["main"].pool.opened;
    let before = opened();
    let calls = (0..100).map(|_| {
        let main = main.clone();
        async move { main.query::<i64>(incr()).await }
    });
    let calls: tokio::task::JoinSet<_> = calls.collect();
    for result in calls.join_all().await {
        assert_eq!(result.expect_err("no write").code(), Some("READONLY"));
    }
    assert!(opened() <= before + 2, "{} connections", opened() - before);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_16_a_replica_is_not_dialled_in_a_tight_loop() {
    if left_out_on_embedded() {
        return;
    }
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    // Earlier calls fill the retry budget, so that every refused call may retry.
    for _ in 0..5_000 {
        main.query::<()>(cmd("PING")).await.expect("pong");
    }
    assert_eq!(server.cli(&NOWHERE), "OK");
    let opened = || supervisor.statistics().databases["main"].pool.opened;
    let (before, start) = (opened(), Instant::now());
    for _ in 0..500 {
        let error = main.query::<i64>(incr()).await;
        assert_eq!(error.expect_err("no write").code(), Some("READONLY"));
    }
    let most = 2 + start.elapsed().as_millis() / 100;
    let opened = u128::from(opened() - before);
    assert!(opened <= most, "{opened} connections, {most} expected");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_16_leases_do_not_dial_a_replica_in_a_tight_loop() {
    if left_out_on_embedded() {
        return;
    }
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let on_lease = async || {
        let mut lease = main.lease().await.expect("a lease");
        lease.query::<i64>(incr()).await
    };
    let popped = async || main.query::<()>(cmd("BLPOP").arg("nothing").arg(1)).await;
    on_lease().await.expect("a primary");
    assert_eq!(server.cli(&NOWHERE), "OK");
    let opened = || supervisor.statistics().databases["main"].pool.opened;
    let (before, start) = (opened(), Instant::now());
    for _ in 0..100 {
        for error in [on_lease().await.err(), popped().await.err()] {
            let error = error.expect("no write");
            assert_eq!(error.code(), Some("READONLY"));
        }
    }
    let most = 2 + start.elapsed().as_millis() / 100;
    let replaced = u128::from(opened() - before);
    assert!((1..=most).contains(&replaced), "{replaced}, of {most}");

    assert_eq!(server.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
    on_lease().await.expect("a primary again");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_17_masterdown() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::with(|main| main.failure_threshold(20)).await;
    let mut events = rig.supervisor.subscribe();
    let stale = ["CONFIG", "SET", "replica-serve-stale-data", "no"];
    assert_eq!(rig.server.cli(&stale), "OK");
    assert_eq!(rig.server.cli(&NOWHERE), "OK");
    let error = error_of(&rig.main, &get()).await;
    assert_eq!(refusal(&error), ("MASTERDOWN", NotExecuted, 3));
    event_of(&mut events, degraded(Reason::PrimaryDown)).await;
    while rig.stats().circuit == CircuitState::Closed {
        // The first call that finds the circuit open is the last.
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
    if left_out_on_embedded() {
        return;
    }
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
    assert_eq!(rig.stats().health, degraded(Reason::NoReplicas));
    assert_eq!(rig.stats().pool.opened, 1);
    assert_eq!(rig.server.cli(&demand("0")), "OK");
    event_of(&mut events, HealthState::Healthy).await;
    let count: i64 = rig.main.query(incr()).await.expect("a write");
    assert_eq!(count, 1);
    rig.end().await;
}
