//! Goal: every setting of the table is changed under load, without a failed call, and takes effect. Method: a case for
//! each row; a test of the table says if one is missing. Each is applied and taken back.

use std::time::Duration;

use redis::cmd;
use redis_steward::{
    Database, DatabaseChange, DatabaseConfig, Fallback, Keepalive, MaintenanceNotifications,
    Protocol, Supervisor, WhenDown,
};

use crate::{
    SOON, apply,
    common::{RedisServer, eventually_async, spawn, version::lacks_tls},
    load::Load,
    patient, stats, until_replaced,
};

struct Site {
    server: RedisServer,
    other: RedisServer,
    supervisor: Supervisor,
    main: Database,
}

type Adjust = fn(&Site, DatabaseConfig) -> DatabaseConfig;
/// Whether the change can be seen.
type Seen = fn(&Site) -> bool;

const SECOND: Duration = Duration::from_secs(1);

/// Key, change, whether connections are replaced, and where the change shows.
const CASES: &[(&str, Adjust, bool, Seen)] = &[
    (
        "url",
        |site, _| login(patient(site.other.url())),
        true,
        |site| !site.other.clients_named("redis-steward").is_empty(),
    ),
    // The host and the port are parts of the URL, and are reported as it.
    (
        "url",
        |site, _| {
            let other = DatabaseConfig::new().host("127.0.0.1");
            login(other.port(site.other.port()))
        },
        true,
        |site| !site.other.clients_named("redis-steward").is_empty(),
    ),
    (
        "number",
        |_, main| main.number(3),
        true,
        |site| has_client(site, "db", "3"),
    ),
    (
        "username",
        |_, main| main.username("second"),
        true,
        |site| has_client(site, "user", "second"),
    ),
    ("password", |_, main| main.password("new"), true, unseen),
    // A server that is found without sentinels does not need it.
    (
        "sentinel_username",
        |_, main| main.sentinel_username("second").sentinel_password("new"),
        false,
        unseen,
    ),
    (
        "sentinel_password",
        |_, main| main.sentinel_password("new"),
        false,
        unseen,
    ),
    (
        "credentials",
        |_, main| main.password_command("echo new"),
        true,
        unseen,
    ),
    // Only a cluster has addresses of nodes.
    (
        "cluster_addresses",
        |_, main| main.cluster_addresses("10.0.0.1=localhost"),
        false,
        unseen,
    ),
    (
        "client_name",
        |_, main| main.client_name("changed"),
        true,
        |site| !site.server.clients_named("changed").is_empty(),
    ),
    (
        "protocol",
        |_, main| main.protocol(Protocol::Resp3),
        true,
        |site| {
            let resp3 = has_client(site, "resp", "3");
            // An older server does not tell it.
            resp3 || !site.server.client_list()[0].contains_key("resp")
        },
    ),
    (
        // The port for TLS is another one.
        "tls",
        |site, _| login(patient(site.other.tls_url())),
        true,
        |site| !site.other.clients_named("redis-steward").is_empty(),
    ),
    (
        "without_hello",
        |_, main| main.without_hello(),
        true,
        unseen,
    ),
    (
        "without_client_name",
        |_, main| main.without_client_name(),
        true,
        |site| site.server.clients_named("redis-steward").is_empty(),
    ),
    (
        "without_select",
        |_, main| main.without_select(),
        true,
        unseen,
    ),
    (
        "command_timeout",
        |_, main| main.command_timeout(7 * SECOND),
        false,
        |site| format!("{:?}", site.main).contains("timeout: 7s"),
    ),
    (
        "attempt_timeout",
        |_, main| main.attempt_timeout(2 * SECOND),
        true,
        unseen,
    ),
    (
        "connect_timeout",
        |_, main| main.connect_timeout(SECOND),
        false,
        unseen,
    ),
    (
        "acquire_timeout",
        |_, main| main.acquire_timeout(19 * SECOND),
        false,
        unseen,
    ),
    (
        "max_connections",
        |_, main| main.max_connections(20),
        false,
        |site| stats(&site.supervisor).pool.max == 20,
    ),
    (
        "shared_connections.min",
        |_, main| main.shared_connections(2, 2),
        false,
        |site| stats(&site.supervisor).pool.shared == 2,
    ),
    (
        "shared_connections.max",
        |_, main| main.shared_connections(1, 3),
        true,
        unseen,
    ),
    (
        "min_idle",
        |_, main| main.min_idle(6),
        false,
        |site| {
            let pool = stats(&site.supervisor).pool;
            pool.shared + pool.idle + pool.in_use >= 6
        },
    ),
    (
        "idle_timeout",
        |_, main| main.idle_timeout(SECOND),
        false,
        unseen,
    ),
    (
        "max_lifetime",
        |_, main| main.max_lifetime(SECOND),
        false,
        |site| {
            let evicted = stats(&site.supervisor).pool.evicted.lifetime;
            let sweep = site.supervisor.clone();
            tokio::spawn(async move { sweep.sweep().await });
            evicted > 0
        },
    ),
    (
        "relaxed_timeout",
        |_, main| main.relaxed_timeout(20 * SECOND),
        true,
        unseen,
    ),
    (
        "maintenance_notifications",
        |_, main| main.maintenance_notifications(MaintenanceNotifications::Off),
        true,
        unseen,
    ),
    (
        "leak_warning",
        |_, main| main.leak_warning(60 * SECOND),
        false,
        unseen,
    ),
    (
        "sweep_interval",
        |_, main| main.sweep_interval(SECOND / 20),
        false,
        |site| {
            let last = stats(&site.supervisor).pool.last_sweep;
            last.is_some_and(|since| since < SECOND)
        },
    ),
    (
        "keepalive",
        |_, main| main.keepalive(Keepalive::new().count(2)),
        true,
        unseen,
    ),
    (
        "tcp_user_timeout",
        |_, main| main.tcp_user_timeout(3 * SECOND),
        true,
        unseen,
    ),
    (
        "health_check_interval",
        |_, main| main.health_check_interval(SECOND / 10),
        false,
        unseen,
    ),
    (
        "failure_threshold",
        |_, main| main.failure_threshold(9),
        false,
        unseen,
    ),
    (
        "recovery_timeout",
        |_, main| main.recovery_timeout(9 * SECOND),
        false,
        unseen,
    ),
    (
        "max_attempts",
        |_, main| main.max_attempts(5),
        false,
        unseen,
    ),
    (
        "when_down",
        |_, main| main.when_down(WhenDown::Wait),
        false,
        unseen,
    ),
    ("fallback", |_, main| main.fallback(stale()), false, unseen),
    (
        "max_in_flight",
        |_, main| main.max_in_flight(1_000),
        false,
        unseen,
    ),
    (
        "max_in_flight_bytes",
        |_, main| main.max_in_flight_bytes(1 << 20),
        false,
        unseen,
    ),
    (
        "near_cache_max_bytes",
        |_, main| main.near_cache_max_bytes(1 << 20),
        false,
        unseen,
    ),
    (
        "near_cache_max_entries",
        |_, main| main.near_cache_max_entries(1_000),
        false,
        unseen,
    ),
    (
        "near_cache_max_age",
        |_, main| main.near_cache_max_age(Duration::from_secs(7)),
        false,
        unseen,
    ),
    (
        "max_parked",
        |_, main| main.max_parked(1_000),
        false,
        unseen,
    ),
    (
        "max_reply_bytes",
        |_, main| main.max_reply_bytes(1 << 20),
        true,
        unseen,
    ),
    (
        "allow_admin",
        |_, main| main.allow_admin(true),
        false,
        unseen,
    ),
];

fn unseen(_: &Site) -> bool {
    true
}

fn stale() -> Fallback {
    Fallback::memory().stale_reads(SECOND, 100)
}

fn has_client(site: &Site, field: &str, value: &str) -> bool {
    let clients = site.server.client_list();
    clients
        .iter()
        .any(|client| client.get(field).is_some_and(|seen| seen == value))
}

fn login(main: DatabaseConfig) -> DatabaseConfig {
    main.username("first").password("old")
}

/// A server where both users have both passwords.
fn server(has_tls: bool) -> RedisServer {
    let server = RedisServer::builder();
    let server = if has_tls { server.tls() } else { server };
    let server = server.start();
    for user in ["first", "second"] {
        server.command(&[
            "ACL", "SETUSER", user, "on", ">old", ">new", "~*", "&*", "+@all",
        ]);
    }
    server
}

async fn site() -> Site {
    let (server, other) = (server(false), server(!lacks_tls()));
    let main = login(patient(server.url()));
    let (supervisor, main) = spawn(main).await;
    Site {
        server,
        other,
        supervisor,
        main,
    }
}

/// Changes one setting, and waits for what follows.
async fn change(site: &Site, main: DatabaseConfig, key: &str, replaces: bool) {
    let outdated = stats(&site.supervisor).pool.evicted.outdated;
    match apply(&site.supervisor, main).await {
        DatabaseChange::Reconnecting { settings } => {
            assert!(replaces && settings.contains(&key), "{key}: {settings:?}");
            until_replaced(&site.supervisor, outdated).await;
        }
        DatabaseChange::TookEffect { settings } => {
            // A maximum of shared connections that is the minimum again needs no other ones.
            assert!(settings.contains(&key), "{key}: {settings:?}");
        }
        other => panic!("{key}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_setting_is_changed_under_load_without_a_failed_call() {
    let site = site().await;
    let load = Load::on(&site.main);
    for (key, adjust, replaces, seen) in CASES {
        if *key == "tls" && lacks_tls() {
            continue;
        }
        let base = || login(patient(site.server.url()));
        change(&site, adjust(&site, base()), key, *replaces).await;
        eventually_async(SOON, key, || seen(&site)).await;
        load.goes_on().await;
        change(&site, base(), key, *replaces).await;
        load.goes_on().await;
    }
    load.end().await;
    let stats = stats(&site.supervisor);
    assert_eq!((stats.timed_out, stats.lost, stats.refused), (0, 0, 0));
    assert_eq!((stats.pool.lost, stats.pool.dial_failures), (0, 0));
    site.supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_settings_are_changed_at_once_and_again() {
    let site = site().await;
    let load = Load::on(&site.main);
    let base = || login(patient(site.server.url()));
    let all = || {
        let others = CASES
            .iter()
            .filter(|(key, ..)| !["url", "tls"].contains(key));
        others.fold(base(), |main, (_, adjust, ..)| adjust(&site, main))
    };
    for _ in 0..5 {
        change(&site, all(), "client_name", true).await;
        load.goes_on().await;
        change(&site, base(), "client_name", true).await;
        load.goes_on().await;
    }
    load.end().await;
    site.supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_handle_may_administer_once_that_is_allowed() {
    let site = site().await;
    let base = || login(patient(site.server.url()));
    let config = cmd("CONFIG").arg("GET").arg("maxmemory").take();
    site.main.query::<()>(&config).await.expect_err("refused");
    apply(&site.supervisor, base().allow_admin(true)).await;
    site.main
        .query::<redis::Value>(&config)
        .await
        .expect("allowed");
    apply(&site.supervisor, base()).await;
    site.main
        .query::<()>(&config)
        .await
        .expect_err("refused again");
    site.supervisor.shutdown(SOON).await;
}
