//! Goal: databases move and get other logins while they are used, and nothing is lost if the new place does not work.
//! Method: real servers with two passwords for a user, and ports.

use std::time::Duration;

use redis::cmd;
use redis_steward::{DatabaseConfig, Error, Execution, HealthEvents, HealthState, Reason};

use crate::{
    SOON, apply, at_leisure,
    common::{RedisServer, Rig, eventually_async, spawn},
    load::Load,
    patient, reconnecting, stats, until_replaced,
};

/// Waits for a state of "main".
async fn until(events: &mut HealthEvents, state: HealthState) -> Option<String> {
    let wait = async {
        loop {
            let event = events.next().await.expect("an event");
            if event.state == state {
                return event.cause.map(|cause| cause.to_string());
            }
        }
    };
    tokio::time::timeout(SOON, wait).await.expect("in time")
}

fn allow(server: &RedisServer, password: &str) {
    let rule = format!(">{password}");
    server.command(&["ACL", "SETUSER", "app", "on", &rule, "~*", "&*", "+@all"]);
}

fn as_app(server: &RedisServer, password: &str) -> DatabaseConfig {
    patient(server.url()).username("app").password(password)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_rotated_under_load() {
    let server = RedisServer::start();
    allow(&server, "password-0");
    let (supervisor, main) = spawn(as_app(&server, "password-0")).await;
    let load = Load::on(&main);
    for turn in 0..5 {
        let (old, new) = (format!("password-{turn}"), format!("password-{}", turn + 1));
        load.goes_on().await;
        allow(&server, &new);
        let outdated = stats(&supervisor).pool.evicted.outdated;
        let change = apply(&supervisor, as_app(&server, &new)).await;
        assert_eq!(change, reconnecting(&["password"]));
        until_replaced(&supervisor, outdated).await;
        server.command(&["ACL", "SETUSER", "app", &format!("<{old}")]);
        load.goes_on().await;
    }
    load.end().await;
    let stats = stats(&supervisor);
    assert_eq!((stats.lost, stats.timed_out, stats.pool.lost), (0, 0, 0));
    assert_eq!(stats.health, HealthState::Healthy);
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_degrades_and_the_old_connections_go_on() {
    let server = RedisServer::start();
    allow(&server, "old");
    let (supervisor, main) = spawn(as_app(&server, "old")).await;
    let mut events = supervisor.subscribe();
    let load = Load::on(&main);
    load.goes_on().await;
    apply(&supervisor, as_app(&server, "canary-new")).await;
    let reason = Reason::Rejected;
    let cause = until(&mut events, HealthState::Degraded { reason }).await;
    let cause = cause.expect("a cause");
    assert!(
        cause.contains("new connections fail") && cause.contains("WRONGPASS"),
        "{cause}"
    );
    assert!(!cause.contains("canary"), "{cause}");
    load.goes_on().await;
    // Now it is right.
    allow(&server, "canary-new");
    until(&mut events, HealthState::Healthy).await;
    until_replaced(&supervisor, 0).await;
    load.goes_on().await;
    load.end().await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_taken_back() {
    let server = RedisServer::start();
    allow(&server, "old");
    let (supervisor, main) = spawn(as_app(&server, "old")).await;
    let mut events = supervisor.subscribe();
    let load = Load::on(&main);
    apply(&supervisor, as_app(&server, "wrong")).await;
    let reason = Reason::Rejected;
    until(&mut events, HealthState::Degraded { reason }).await;
    apply(&supervisor, as_app(&server, "old")).await;
    until(&mut events, HealthState::Healthy).await;
    load.goes_on().await;
    load.end().await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_moves_to_another_port_under_load() {
    let (one, other) = (RedisServer::start(), RedisServer::start());
    let config = |server: &RedisServer| patient(server.url());
    let (supervisor, main) = spawn(config(&one)).await;
    let load = Load::on(&main);
    let servers = [&other, &one];
    for turn in 0..6 {
        let (to, from) = (servers[turn % 2], servers[(turn + 1) % 2]);
        load.goes_on().await;
        let outdated = stats(&supervisor).pool.evicted.outdated;
        let change = apply(&supervisor, config(to)).await;
        assert_eq!(change, reconnecting(&["url"]));
        until_replaced(&supervisor, outdated).await;
        let left = || from.clients_named("redis-steward").len();
        eventually_async(SOON, "none is left", || left() == 0).await;
        load.goes_on().await;
    }
    let calls = load.end().await;
    // Each command was carried out once, at one of the two.
    let counted = |server: &RedisServer| -> u64 {
        server
            .cli(&["GET", "calls"])
            .trim()
            .parse()
            .expect("a number")
    };
    assert!(counted(&one) + counted(&other) <= calls);
    assert_eq!(stats(&supervisor).pool.lost, 0);
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_where_nothing_answers_takes_nothing_from_callers() {
    let (server, gone) = (RedisServer::start(), RedisServer::start());
    let (supervisor, main) = spawn(patient(server.url())).await;
    let mut events = supervisor.subscribe();
    let load = Load::shared(&main);
    gone.kill();
    apply(&supervisor, patient(gone.url())).await;
    let reason = Reason::Unreachable;
    until(&mut events, HealthState::Degraded { reason }).await;
    load.goes_on().await;
    gone.restart();
    until(&mut events, HealthState::Healthy).await;
    let clients = || gone.clients_named("redis-steward").len();
    eventually_async(SOON, "it has moved", || clients() > 0).await;
    load.goes_on().await;
    load.end().await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn calls_that_wait_on_the_old_place_end_there_and_do_not_count_against_the_new_one() {
    let (frozen, server) = (RedisServer::start(), RedisServer::start());
    let settings = |server: &RedisServer| {
        patient(server.url())
            .command_timeout(Duration::from_secs(2))
            .attempt_timeout(Duration::from_millis(500))
    };
    let (supervisor, main) = spawn(settings(&frozen)).await;
    frozen.freeze();
    let call = || {
        let main = main.clone();
        tokio::spawn(async move { main.query::<()>(cmd("INCR").arg("a")).await })
    };
    let waiting: Vec<_> = (0..20).map(|_| call()).collect();
    eventually_async(SOON, "they are sent", || stats(&supervisor).in_flight == 20).await;
    apply(&supervisor, settings(&server)).await;
    let has_moved = || stats(&supervisor).pool.evicted.outdated == 1;
    eventually_async(SOON, "a new connection has taken over", has_moved).await;
    let load = Load::shared(&main);
    for waiting in waiting {
        let error = waiting.await.expect("no panic").expect_err("no answer");
        // If the first ones end earlier than the others, their connection is given up for its silence.
        let is_given_up = matches!(error, Error::ConnectionLost { .. });
        assert!(error.is_timeout() || is_given_up, "{error}");
        assert_eq!(error.execution(), Execution::Unknown);
    }
    load.goes_on().await;
    load.end().await;
    assert_eq!(stats(&supervisor).health, HealthState::Healthy);
    frozen.thaw();
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn an_embedded_server_without_a_name_stays_with_its_data() {
    let url = || DatabaseConfig::from_url("memory://");
    let (supervisor, main) = spawn(url()).await;
    main.query::<()>(cmd("SET").arg("a").arg(1))
        .await
        .expect("set");
    apply(&supervisor, url().client_name("other")).await;
    until_replaced(&supervisor, 0).await;
    let kept: i64 = main.query(cmd("GET").arg("a")).await.expect("get");
    assert_eq!(kept, 1);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn leases_that_are_out_finish_where_they_are() {
    let rig = Rig::with(at_leisure).await;
    let other = RedisServer::start();
    let mut lease = rig.main.lease().await.expect("a lease");
    lease
        .query::<()>(cmd("SET").arg("a").arg(1))
        .await
        .expect("set");
    apply(&rig.supervisor, patient(other.url())).await;
    until_replaced(&rig.supervisor, 0).await;
    let kept: i64 = lease.query(cmd("GET").arg("a")).await.expect("get");
    assert_eq!(kept, 1);
    drop(lease);
    let clients = || rig.server.clients_named("redis-steward").len();
    eventually_async(SOON, "it is closed", || clients() == 0).await;
    rig.supervisor.shutdown(SOON).await;
}
