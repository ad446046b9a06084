//! Goal: callers do not notice that a server closes idle connections. Method: a real server that closes
//! them by `timeout 1` or CLIENT KILL, and calls and leases before and after.

use std::{collections::BTreeSet, time::Duration};

use redis::cmd;
use redis_steward::{Database, DatabaseConfig, HealthState, PoolStats, Supervisor};

use crate::{
    Rig, SOON,
    common::{RedisServer, eventually, eventually_async, spawn},
    event_of, incr, stats,
};

const KILL: [&str; 6] = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];

fn pool(supervisor: &Supervisor) -> PoolStats {
    stats(supervisor).pool
}

/// The server's ids of the pool's connections.
fn ids(server: &RedisServer) -> BTreeSet<String> {
    let clients = server.clients_named("redis-steward");
    clients
        .into_iter()
        .map(|mut client| client.remove("id").expect("an id"))
        .collect()
}

/// Takes `number` leases at the same time, and uses each.
async fn use_leases(main: &Database, number: usize) {
    let mut leases = Vec::new();
    for turn in 0..number {
        let mut lease = main.lease().await.expect("a lease");
        let nonce = format!("nonce-{turn}");
        let echo: String = lease
            .query(cmd("ECHO").arg(&nonce))
            .await
            .expect("it works");
        assert_eq!(echo, nonce);
        leases.push(lease);
    }
}

#[tokio::test]
async fn row_13_closed_connections_are_not_lent() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    server.cli(&["CONFIG", "SET", "timeout", "1"]);
    for round in 1..=3 {
        use_leases(&main, 5).await;
        // They were returned a moment ago.
        let is_back = || pool(&supervisor).idle == 5;
        eventually_async(SOON, "all are back", is_back).await;
        assert!(pool(&supervisor).available >= 5);
        let are_gone = || (pool(&supervisor).idle, pool(&supervisor).closing) == (0, 0);
        eventually_async(SOON, "the pool has noticed", are_gone).await;
        let pool = pool(&supervisor);
        assert!(pool.lost >= 5 * round, "{pool:?}");
        assert_eq!((pool.evicted.total(), pool.discarded), (0, 0));
    }
    let stats = stats(&supervisor);
    assert_eq!(
        (stats.lost, stats.timed_out, stats.error_replies),
        (0, 0, 0)
    );
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_13_connections_closed_unnoticed_are_not_lent() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    for round in 1..=3 {
        use_leases(&main, 10).await;
        let is_back = || pool(&supervisor).idle == 10;
        eventually_async(SOON, "all are back", is_back).await;
        server.cli(&["CONFIG", "SET", "timeout", "1"]);
        // Nothing else runs on this thread meanwhile, so the pool does not notice.
        let clients = || server.clients_named("redis-steward").len();
        eventually(SOON, "the server has closed all", || clients() == 0);
        server.cli(&["CONFIG", "SET", "timeout", "0"]);
        assert_eq!(pool(&supervisor).idle, 10, "the pool does not know");
        use_leases(&main, 10).await;
        let pong: String = main
            .query(cmd("PING"))
            .await
            .expect("a shared connection that is open");
        assert_eq!(pong, "PONG");
        assert_eq!(pool(&supervisor).lost, 11 * round);
    }
    supervisor.shutdown(SOON).await;
}

/// Deviation: the loss of an idle connection is counted but is no event, because no call failed.
#[tokio::test]
async fn row_13_server_idle_timeout() {
    let rig = Rig::start().await;
    let mut events = rig.supervisor.subscribe();
    event_of(&mut events, HealthState::Healthy).await;
    assert_eq!(rig.server.cli(&["CONFIG", "SET", "timeout", "1"]), "OK");
    let closed = || rig.stats().pool.lost;
    eventually_async(SOON, "the server has closed it", || closed() > 0).await;
    let count: i64 = rig.main.query(incr()).await.expect("no call fails");
    assert_eq!(count, 1);
    let stats = rig.stats();
    assert_eq!((stats.lost, stats.retried), (0, 0));
    rig.supervisor.shutdown(SOON).await;
    let last = events.next().await.expect("an event");
    assert_eq!(last.state, HealthState::Stopped, "nothing happened before");
}

/// Without a proxy, which would deliver the end of the connection after the kill has returned.
#[tokio::test]
async fn row_12_killed_while_idle() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    for round in 1..=20 {
        // The connection has to be idle.
        tokio::time::sleep(Duration::from_millis(5)).await;
        server.cli(&KILL);
        let count: i64 = main.query(incr()).await.expect("no error");
        assert_eq!(count, round);
    }
    assert_eq!(stats(&supervisor).health, HealthState::Healthy);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_12_killed_connections_are_open_again_within_a_second() {
    let server = RedisServer::start();
    let main = DatabaseConfig::from_url(server.url())
        .min_idle(5)
        // The pool has to refill without a sweep.
        .sweep_interval(Duration::from_secs(3600));
    let (supervisor, _main) = spawn(main).await;
    let is_full = || pool(&supervisor).open == 5 && ids(&server).len() == 5;
    eventually_async(SOON, "the minimum is open", is_full).await;
    for _ in 0..3 {
        let before = ids(&server);
        server.cli(&KILL);
        let is_new = || ids(&server).is_disjoint(&before) && is_full();
        let second = Duration::from_secs(1);
        eventually_async(second, "the minimum is open again", is_new).await;
    }
    let pool = pool(&supervisor);
    assert_eq!(
        (pool.shared, pool.idle, pool.opened, pool.lost),
        (1, 4, 20, 15)
    );
    supervisor.shutdown(SOON).await;
}
