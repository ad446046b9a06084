//! Goal: idle connections are closed after the configured time and opened again on demand; connections
//! in use and the minimum stay open. Method: short intervals, and a real server whose CLIENT LIST shows
//! the open connections.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use redis::cmd;
use redis_steward::{Config, Database, DatabaseConfig, Lease, PoolStats, Supervisor};

use crate::common::{LogCapture, RedisServer, eventually_async};

const SOON: Duration = Duration::from_secs(10);

async fn spawn(server: &RedisServer, min_idle: usize) -> Supervisor {
    let main = DatabaseConfig::from_url(server.url())
        .min_idle(min_idle)
        .idle_timeout(Duration::from_millis(200));
    let config = Config::new()
        .database("main", main)
        .sweep_interval(Duration::from_millis(50));
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    supervisor
}

fn pool(supervisor: &Supervisor) -> PoolStats {
    pool_of(supervisor, "main")
}

fn pool_of(supervisor: &Supervisor, database: &str) -> PoolStats {
    supervisor.statistics().databases[database].pool.clone()
}

#[tokio::test]
async fn an_unused_connection_is_closed_and_opened_again_on_demand() {
    let server = RedisServer::start();
    let supervisor = spawn(&server, 0).await;
    let main = supervisor.database("main").expect("main");
    for round in 1..=3 {
        let clients = || server.clients_named("redis-steward").len();
        eventually_async(SOON, "the server has no client of ours", || clients() == 0).await;
        // The server may notice earlier than the pool.
        let open = || pool(&supervisor).open;
        eventually_async(SOON, "the pool has none open", || open() == 0).await;
        let stats = pool(&supervisor);
        assert_eq!((stats.evicted.idle, stats.lost), (round, 0));
        let pong: String = main.query(cmd("PING")).await.expect("on demand");
        assert_eq!(pong, "PONG");
        assert_eq!(pool(&supervisor).open, 1);
    }
    supervisor
        .ready(SOON)
        .await
        .expect("an idle database is a healthy one");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_connection_in_use_is_not_closed() {
    let server = RedisServer::start();
    let supervisor = spawn(&server, 0).await;
    let main = supervisor.database("main").expect("main");
    // The call takes longer than a connection may be idle.
    server.freeze();
    let call = tokio::spawn(async move { main.query::<String>(cmd("PING")).await });
    // The absence of an eviction has no condition to wait for: ten sweeps pass.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(pool(&supervisor).evicted.total(), 0);
    server.thaw();
    assert_eq!(call.await.expect("task").expect("its reply"), "PONG");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn the_idle_minimum_is_kept() {
    let server = RedisServer::start();
    let supervisor = spawn(&server, 1).await;
    // The absence of an eviction has no condition to wait for: twelve sweeps pass.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let stats = pool(&supervisor);
    assert_eq!((stats.open, stats.opened, stats.evicted.total()), (1, 1, 0));
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn each_database_is_swept_at_its_own_interval() {
    let server = RedisServer::start();
    let idle = || {
        DatabaseConfig::from_url(server.url())
            .min_idle(0)
            .idle_timeout(Duration::from_millis(50))
    };
    let config = Config::new()
        .database("often", idle().sweep_interval(Duration::from_millis(20)))
        .database("seldom", idle())
        .sweep_interval(Duration::from_secs(3600));
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let often = supervisor.database("often").expect("often");
    // In later rounds the connection of the second database has been idle for long enough, too.
    for round in 1..=3 {
        let evicted = || pool_of(&supervisor, "often").evicted.idle;
        eventually_async(SOON, "the idle connection is closed", || evicted() == round).await;
        let pong: String = often.query(cmd("PING")).await.expect("on demand");
        assert_eq!(pong, "PONG");
    }
    let seldom = pool_of(&supervisor, "seldom");
    assert_eq!((seldom.open, seldom.evicted.total()), (1, 0));
    supervisor.shutdown(SOON).await;
}

/// The server's ids of clients.
type Ids = BTreeSet<String>;

fn ids(server: &RedisServer) -> Ids {
    let clients = server.clients_named("redis-steward");
    clients
        .into_iter()
        .map(|mut client| client.remove("id").expect("an id"))
        .collect()
}

async fn id(lease: &mut Lease) -> String {
    let id: i64 = lease.query(cmd("CLIENT").arg("ID")).await.expect("an id");
    id.to_string()
}

async fn shared_id(main: &Database) -> String {
    let id: i64 = main.query(cmd("CLIENT").arg("ID")).await.expect("an id");
    id.to_string()
}

#[tokio::test]
async fn idle_leased_connections_are_closed_except_the_last_used() {
    let server = RedisServer::start();
    let supervisor = spawn(&server, 2).await;
    let main = supervisor.database("main").expect("main");
    let mut held = main.lease().await.expect("a lease");
    let of_held = id(&mut held).await;
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(main.lease().await.expect("a lease"));
    }
    let of_last = id(&mut leases[2]).await;
    // The pool keeps one more idle.
    eventually_async(SOON, "the minimum is idle", || pool(&supervisor).idle == 1).await;
    // They are returned one after the other, and the shared connection is used last.
    leases.into_iter().for_each(drop);
    let shared = shared_id(&main).await;

    let left = Ids::from([shared.clone(), of_held.clone(), of_last]);
    eventually_async(SOON, "three are closed", || ids(&server) == left).await;
    let stats = || pool(&supervisor);
    eventually_async(SOON, "the pool knows", || stats().open == 3).await;
    // The absence of an eviction has no condition to wait for: ten sweeps pass.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(ids(&server), left, "the minimum and the lease stay");
    let pool = stats();
    assert_eq!((pool.shared, pool.idle, pool.in_use), (1, 1, 1));
    assert_eq!(
        (pool.evicted.idle, pool.evicted.total(), pool.lost),
        (3, 3, 0)
    );
    assert!(pool.last_sweep.is_some_and(|time| time < SOON));

    assert_eq!(id(&mut held).await, of_held);
    drop(held);
    let left = Ids::from([shared, of_held]);
    eventually_async(SOON, "the last one is closed", || ids(&server) == left).await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn each_database_has_its_own_idle_timeout_and_a_sweep_logs_evictions() {
    LogCapture::start();
    let server = RedisServer::start();
    let never = Duration::from_secs(3600);
    let with = |idle_timeout| {
        DatabaseConfig::from_url(server.url())
            .idle_timeout(idle_timeout)
            .sweep_interval(never)
    };
    let config = Config::new()
        .database("hasty", with(Duration::from_millis(1)))
        .database("patient", with(never));
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let stats = |name: &str| supervisor.statistics().databases[name].pool.clone();
    for name in ["hasty", "patient"] {
        let database = supervisor.database(name).expect("configured");
        let one = database.lease().await.expect("a lease");
        let two = database.lease().await.expect("another");
        drop((one, two));
        eventually_async(SOON, "both are back", || stats(name).idle == 2).await;
    }
    let (start, mut swept) = (Instant::now(), 0);
    while swept < 2 {
        assert!(start.elapsed() < SOON, "{swept} swept");
        swept += supervisor.sweep().await;
    }
    assert_eq!(swept, 2);
    eventually_async(SOON, "they are closed", || stats("hasty").open == 1).await;
    assert_eq!(stats("hasty").evicted.idle, 2);
    assert_eq!(
        (stats("patient").idle, stats("patient").evicted.total()),
        (2, 0)
    );
    assert_eq!(supervisor.sweep().await, 0, "there is nothing more to do");
    supervisor.shutdown(SOON).await;
    // By then all is written.
    let evictions = LogCapture::events("hasty", "connection evicted");
    let reasons: Vec<_> = evictions.iter().map(|event| event.get("reason")).collect();
    assert_eq!(reasons, ["Idle"; 2]);
    assert!(LogCapture::events("patient", "connection evicted").is_empty());
}
