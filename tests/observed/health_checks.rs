//! Health checks say what is known and what the server answers now, in a bounded time.

use std::time::{Duration, Instant};

use redis::cmd;
use redis_steward::{Config, DatabaseConfig, HealthState, Supervisor};

use crate::{
    SOON,
    common::{RedisServer, eventually_async, spawn},
};

#[tokio::test]
async fn a_healthy_server_tells_of_itself() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let _: () = main.query(cmd("SET").arg("k").arg("v")).await.expect("set");
    let _: () = main.query(cmd("GET").arg("k")).await.expect("get");
    let before = supervisor.statistics();
    let check = main.health_check(SOON).await;
    assert!(
        check.is_healthy() && check.is_ready() && check.is_live(),
        "{check:?}"
    );
    assert!(check.reasons().is_empty(), "{check:?}");
    assert!(check.ping.expect("a time") < SOON);
    let told = check.server.as_ref().expect("an answer");
    assert_eq!(told.role.as_deref(), Some("master"));
    assert_eq!(told.hit_rate, Some(1.0));
    // Its own is one of them.
    assert!(told.connected_clients >= Some(2), "{told:?}");
    assert!(told.version.is_some() && told.used_memory > Some(0));
    let commands = supervisor.statistics().since(&before).commands();
    assert_eq!(commands, 0, "it is in no statistics");

    let json = serde_json::to_value(&check).expect("a value");
    for key in ["healthy", "ready", "live"] {
        assert_eq!(json[key], true, "{json}");
    }
    assert_eq!(json["circuit_state"], "closed");
    assert_eq!(json["hit_rate"], 1.0);
    assert!(json["ping_ms"].is_number() && json["used_memory_human"].is_string());
    assert!(json["connected_clients"].is_number() && json["version"].is_string());
    for key in [
        "created_connections",
        "available_connections",
        "in_use_connections",
    ] {
        assert!(json["pool"][key].is_number(), "{json}");
    }
    let named = || server.clients_named("redis-steward").len();
    eventually_async(SOON, "its connection is closed", || named() == 1).await;
    supervisor.shutdown(SOON).await;
}

fn probed_often(server: &RedisServer) -> DatabaseConfig {
    DatabaseConfig::from_url(server.url()).health_check_interval(Duration::from_secs(1))
}

#[tokio::test]
async fn a_dead_a_frozen_and_a_healthy_database_are_checked_at_the_same_time() {
    let [dead, frozen, other, good] = [(); 4].map(|()| RedisServer::start());
    let config = Config::new()
        .database("dead", probed_often(&dead))
        .database("frozen", probed_often(&frozen))
        .database("other", probed_often(&other))
        .database("good", DatabaseConfig::from_url(good.url()));
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    dead.kill();
    frozen.freeze();
    other.freeze();
    let is_down = |state: &HealthState| matches!(state, HealthState::Down { .. });
    let all = || {
        let states = supervisor.states();
        ["dead", "frozen", "other"]
            .iter()
            .all(|name| is_down(&states[*name]))
    };
    eventually_async(SOON, "they are down", all).await;
    // Two that do not answer would take twice as long one after the other.
    let within = Duration::from_secs(3);
    let start = Instant::now();
    let health = supervisor.health(within).await;
    assert!(start.elapsed() < 2 * within, "{:?}", start.elapsed());
    assert!(!health.is_ready() && health.is_live());
    let [dead, good, frozen] = ["dead", "good", "frozen"].map(|name| &health.databases[name]);
    assert!(good.is_healthy(), "{good:?}");
    assert!(!dead.is_ready() && !dead.is_healthy(), "{dead:?}");
    let reasons = dead.reasons().join("; ");
    assert!(
        reasons.contains("cannot be reached") && reasons.contains("refused"),
        "{reasons}"
    );
    assert!(!frozen.is_ready() && frozen.ping.is_none(), "{frozen:?}");
    let reasons = frozen.reasons().join("; ");
    assert!(reasons.contains("asked now:"), "{reasons}");
    supervisor.shutdown(SOON).await;
}

/// That were accepted so far.
fn connections(server: &RedisServer) -> u64 {
    let number = &server.info("stats")["total_connections_received"];
    number.parse().expect("a number")
}

#[tokio::test]
async fn a_check_waits_behind_no_command_and_checks_at_the_same_time_share_a_connection() {
    let server = RedisServer::start();
    let config = DatabaseConfig::from_url(server.url()).max_connections(2);
    let (supervisor, main) = spawn(config).await;
    // Its pool is full.
    let lease = main.lease().await.expect("a lease");
    let before = connections(&server);
    let checks = (0..50).map(|_| main.health_check(SOON));
    for check in futures_util::future::join_all(checks).await {
        assert!(check.is_healthy(), "{check:?}");
    }
    let after = connections(&server);
    assert!(after - before < 10, "{before} {after}");
    drop(lease);
    supervisor.shutdown(SOON).await;
    let check = main.health_check(SOON).await;
    assert!(!check.is_live() && !check.is_ready(), "{check:?}");
    assert_eq!(main.state(), HealthState::Stopped);
}

#[tokio::test]
async fn a_user_who_may_not_ask_is_told_so() {
    let server = RedisServer::start();
    server.cli(&[
        "ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-info",
    ]);
    let url = format!("redis://app:secret@127.0.0.1:{}", server.port());
    let (supervisor, main) = spawn(DatabaseConfig::from_url(url)).await;
    let check = main.health_check(SOON).await;
    assert!(check.is_healthy() && check.server.is_none(), "{check:?}");
    let reasons = check.reasons().join("; ");
    assert!(
        reasons.contains("no permissions") && !reasons.contains("secret"),
        "{reasons}"
    );
    supervisor.shutdown(SOON).await;
}
