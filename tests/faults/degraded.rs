//! Goal: a server that refuses a kind of command to everybody is degraded, not down: what it does run,
//! runs; its circuit stays closed; and it is healthy again once it is. Method: a real server
//! that is told to have the problem, and then not to.

use std::time::Duration;

use redis::cmd;
use redis_steward::{
    CircuitState, DatabaseConfig, Error, Execution, HealthEvents, HealthState, Reason,
};

use crate::common::{RedisServer, eventually_async, spawn};

const SOON: Duration = Duration::from_secs(20);

/// A write is refused with this code after `begin`, and taken again after `end`.
async fn degrades_and_recovers(
    server: &RedisServer,
    (code, reason): (&str, Reason),
    begin: impl AsyncFnOnce(),
    end: impl AsyncFnOnce(),
) {
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let mut events = supervisor.subscribe();
    until(&mut events, HealthState::Healthy).await;
    let write = cmd("SET").arg("k").arg("v").take();
    main.query::<()>(&write).await.expect("before");

    begin().await;
    let error: Error = main.query::<()>(&write).await.expect_err("no writes");
    assert_eq!(error.code(), Some(code), "{error}");
    assert_eq!(error.execution(), Execution::NotExecuted);
    until(&mut events, HealthState::Degraded { reason }).await;
    let value: String = main.query(cmd("GET").arg("k")).await.expect("a read");
    assert_eq!(value, "v");
    let stats = &supervisor.statistics().databases["main"];
    assert_eq!(stats.circuit, CircuitState::Closed);
    assert_eq!(stats.health, HealthState::Degraded { reason });

    end().await;
    until(&mut events, HealthState::Healthy).await;
    main.query::<()>(&write).await.expect("after");
    supervisor.shutdown(SOON).await;
}

fn told(server: &RedisServer, command: &[&str]) {
    assert_eq!(server.cli(command), "OK", "{command:?}");
}

async fn until(events: &mut HealthEvents, state: HealthState) {
    let found = async { while events.next().await.expect("an event").state != state {} };
    let found = tokio::time::timeout(SOON, found).await;
    found.unwrap_or_else(|_| panic!("not {state} within {SOON:?}"));
}

#[tokio::test]
async fn a_replica_takes_no_writes() {
    let server = RedisServer::start();
    degrades_and_recovers(
        &server,
        ("READONLY", Reason::ReadOnly),
        async || told(&server, &["REPLICAOF", "127.0.0.1", "1"]),
        async || told(&server, &["REPLICAOF", "NO", "ONE"]),
    )
    .await;
}

#[tokio::test]
async fn a_primary_without_replicas_takes_no_writes_if_told_so() {
    let server = RedisServer::start();
    let require = |replicas: &str| {
        told(
            &server,
            &["CONFIG", "SET", "min-replicas-to-write", replicas],
        );
    };
    degrades_and_recovers(
        &server,
        ("NOREPLICAS", Reason::NoReplicas),
        async || require("1"),
        async || require("0"),
    )
    .await;
}

#[tokio::test]
async fn a_server_without_memory_takes_no_writes() {
    let server = RedisServer::start();
    let limit = |bytes: &str| told(&server, &["CONFIG", "SET", "maxmemory", bytes]);
    degrades_and_recovers(
        &server,
        ("OOM", Reason::OutOfMemory),
        async || limit("1"),
        async || limit("0"),
    )
    .await;
}

#[tokio::test]
async fn a_server_that_cannot_save_takes_no_writes() {
    let server = RedisServer::builder().arg("dbfilename", "dump").start();
    told(&server, &["CONFIG", "SET", "save", "3600 1"]);
    // A directory in the place of its file.
    let in_the_way = server.dir().join("dump");
    let saved = async |status: &str| {
        server.cli(&["BGSAVE"]);
        let last = || server.info("persistence")["rdb_last_bgsave_status"].clone();
        eventually_async(SOON, "it has tried to save", || last() == status).await;
    };
    degrades_and_recovers(
        &server,
        ("MISCONF", Reason::CannotSave),
        async || {
            std::fs::create_dir(&in_the_way).expect("a directory");
            saved("err").await;
        },
        async || {
            std::fs::remove_dir(&in_the_way).expect("it is empty");
            saved("ok").await;
        },
    )
    .await;
}
