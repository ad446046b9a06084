//! Goal: a server that closes idle clients costs nobody a command (row 13 of the fault matrix).
//! Method: a real server with `timeout 1`, and leases that are taken around the time when it closes
//! their connections.

use std::time::Duration;

use redis::cmd;
use redis_steward::{Database, DatabaseConfig, PoolStats, Supervisor};

use crate::common::{RedisServer, eventually, eventually_async, spawn};

const SOON: Duration = Duration::from_secs(20);

fn pool(supervisor: &Supervisor) -> PoolStats {
    supervisor.statistics().databases["main"].pool.clone()
}

/// Leases so many at a time, and uses each.
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
async fn row_13_what_the_server_has_closed_is_not_lent() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    server.cli(&["CONFIG", "SET", "timeout", "1"]);
    for round in 1..=3 {
        use_leases(&main, 5).await;
        // Given back a moment ago.
        let is_back = || pool(&supervisor).idle == 5;
        eventually_async(SOON, "all are back", is_back).await;
        assert!(pool(&supervisor).available >= 5);
        let are_gone = || (pool(&supervisor).idle, pool(&supervisor).closing) == (0, 0);
        eventually_async(SOON, "the pool knows that they are gone", are_gone).await;
        let pool = pool(&supervisor);
        assert!(pool.lost >= 5 * round, "{pool:?}");
        assert_eq!((pool.evicted.total(), pool.discarded), (0, 0));
    }
    let stats = supervisor.statistics().databases["main"].clone();
    assert_eq!(
        (stats.lost, stats.timed_out, stats.error_replies),
        (0, 0, 0)
    );
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_13_nor_what_it_has_closed_unnoticed() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    for round in 1..=3 {
        use_leases(&main, 10).await;
        let is_back = || pool(&supervisor).idle == 10;
        eventually_async(SOON, "all are back", is_back).await;
        server.cli(&["CONFIG", "SET", "timeout", "1"]);
        // Nothing else runs on this thread meanwhile, and so nobody notices.
        let clients = || server.clients_named("redis-steward").len();
        eventually(SOON, "the server has closed all", || clients() == 0);
        server.cli(&["CONFIG", "SET", "timeout", "0"]);
        assert_eq!(pool(&supervisor).idle, 10, "the pool does not know");
        use_leases(&main, 10).await;
        let pong: String = main
            .query(cmd("PING"))
            .await
            .expect("and so for the others");
        assert_eq!(pong, "PONG");
        assert_eq!(pool(&supervisor).lost, 11 * round);
    }
    supervisor.shutdown(SOON).await;
}
