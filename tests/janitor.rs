//! Goal: a connection that nobody uses is closed when the configuration wants that, really closed,
//! and opened again when somebody does; one in use is left alone. Method: a real server, whose
//! CLIENT LIST says what is open, and short intervals.

use std::time::Duration;

use redis::cmd;
use redis_steward::{Config, DatabaseConfig, PoolStats, Supervisor};

mod common;
use common::{RedisServer, eventually_async};

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
        // The server may know before the pool does.
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
async fn a_connection_in_use_is_left_alone() {
    let server = RedisServer::start();
    let supervisor = spawn(&server, 0).await;
    let main = supervisor.database("main").expect("main");
    // The call takes longer than a connection may be idle.
    server.freeze();
    let call = tokio::spawn(async move { main.query::<String>(cmd("PING")).await });
    // That nothing happens has no condition to wait for: ten sweeps pass.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(pool(&supervisor).evicted.total(), 0);
    server.thaw();
    assert_eq!(call.await.expect("task").expect("its reply"), "PONG");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn the_minimum_is_kept() {
    let server = RedisServer::start();
    let supervisor = spawn(&server, 1).await;
    // That nothing happens has no condition to wait for: twelve sweeps pass.
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
    // In the later rounds the other database's connection has been idle for long enough, too.
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
