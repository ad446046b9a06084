//! Goal: connections are replaced at their maximum lifetime, and no caller notices. Method: the shortest
//! permitted lifetime, frequent or requested sweeps, and a real server behind a proxy that delays dials.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use redis::cmd;
use redis_steward::{Database, DatabaseConfig, PoolStats, Supervisor};
use tokio::task::JoinHandle;

use crate::common::{FaultProxy, Mode, RedisServer, eventually_async, spawn};

const SOON: Duration = Duration::from_secs(20);
const LIFETIME: Duration = Duration::from_secs(1);

fn pool(supervisor: &Supervisor) -> PoolStats {
    supervisor.statistics().databases["main"].pool.clone()
}

fn ids(server: &RedisServer) -> Vec<String> {
    let clients = server.clients_named("redis-steward");
    clients
        .into_iter()
        .map(|mut client| client.remove("id").expect("an id"))
        .collect()
}

/// Increments until the end of the load. Returns the number of increments.
fn load(main: &Database, is_over: &Arc<AtomicBool>) -> JoinHandle<i64> {
    let (main, is_over) = (main.clone(), is_over.clone());
    tokio::spawn(async move {
        let mut done = 0;
        while !is_over.load(Relaxed) {
            main.query::<()>(cmd("INCR").arg("n"))
                .await
                .expect("no command fails");
            done += 1;
        }
        done
    })
}

#[tokio::test]
async fn a_lease_past_its_lifetime_is_closed_when_it_is_returned() {
    let server = RedisServer::start();
    let main = DatabaseConfig::from_url(server.url())
        .max_lifetime(LIFETIME)
        .sweep_interval(Duration::from_secs(3600));
    let (supervisor, main) = spawn(main).await;
    let mut lease = main.lease().await.expect("a lease");
    let id: i64 = lease.query(cmd("CLIENT").arg("ID")).await.expect("an id");
    let is_open = || ids(&server).contains(&id.to_string());
    // The connection has to age.
    tokio::time::sleep(LIFETIME).await;
    let swept = supervisor.sweep().await;
    assert_eq!(
        swept, 0,
        "the shared connection is closed after its successor is open"
    );
    let lifetime = || pool(&supervisor).evicted.lifetime;
    eventually_async(SOON, "it is replaced", || lifetime() == 1).await;
    let same: i64 = lease
        .query(cmd("CLIENT").arg("ID"))
        .await
        .expect("still open");
    assert_eq!(same, id);
    drop(lease);
    eventually_async(SOON, "it is closed", || !is_open()).await;
    eventually_async(SOON, "the pool knows", || pool(&supervisor).open == 1).await;
    let pool = pool(&supervisor);
    assert_eq!((pool.evicted.lifetime, pool.evicted.total()), (2, 2));
    assert_eq!((pool.discarded, pool.lost, pool.idle), (0, 0, 0));
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replacing_a_shared_connection_fails_no_command() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let main = DatabaseConfig::from_url(proxy.url())
        .command_timeout(SOON)
        .max_lifetime(LIFETIME)
        .sweep_interval(Duration::from_millis(10));
    let (supervisor, main) = spawn(main).await;
    // A dial takes several round trips, which is several sweeps.
    proxy.set(Mode::Delay {
        requests: Duration::ZERO,
        replies: Duration::from_millis(30),
    });
    let is_over = Arc::default();
    let callers: Vec<_> = (0..16).map(|_| load(&main, &is_over)).collect();
    let lifetime = || pool(&supervisor).evicted.lifetime;
    while lifetime() < 3 {
        let pool = pool(&supervisor);
        // A call may be parked for a moment: its request is not written before those of the old connection.
        assert_eq!(pool.lost, 0);
        assert!(pool.shared >= 1, "its successor comes first: {pool:?}");
        assert!(pool.shared <= 2, "one successor is enough: {pool:?}");
        tokio::task::yield_now().await;
    }
    is_over.store(true, Relaxed);
    let mut done = 0;
    for caller in callers {
        done += caller.await.expect("no command fails");
    }
    assert_eq!(server.cli(&["GET", "n"]), done.to_string());
    let is_settled = || {
        let pool = pool(&supervisor);
        (pool.open, pool.opening) == (1, 0) && pool.opened == pool.evicted.lifetime + 1
    };
    eventually_async(SOON, "each was replaced once", is_settled).await;
    assert_eq!(pool(&supervisor).evicted.total(), lifetime());
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn an_idle_connection_is_displaced_by_a_successor() {
    let server = RedisServer::start();
    let main = DatabaseConfig::from_url(server.url())
        .max_connections(2)
        .max_lifetime(LIFETIME)
        .sweep_interval(Duration::from_secs(3600));
    let (supervisor, main) = spawn(main).await;
    let pool = || pool(&supervisor);
    let start = Instant::now();
    while pool().evicted.displaced == 0 {
        assert!(start.elapsed() < SOON, "{:?}", pool());
        // The leased connection is younger than the shared one.
        tokio::time::sleep(LIFETIME / 2).await;
        drop(main.lease().await.expect("a lease"));
        supervisor.sweep().await;
    }
    let is_accounted_for = || {
        let pool = pool();
        let closed = pool.evicted.total() + pool.discarded;
        (pool.opening, pool.closing) == (0, 0) && pool.opened == pool.open as u64 + closed
    };
    eventually_async(
        SOON,
        "every opened connection is open or counted as closed",
        is_accounted_for,
    )
    .await;
    assert_eq!((pool().lost, pool().discarded), (0, 0));
    supervisor.shutdown(SOON).await;
    let pool = pool();
    assert_eq!(pool.opened, pool.evicted.total() + pool.discarded);
}

#[tokio::test]
async fn an_old_connection_serves_until_its_successor_is_open() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let main = DatabaseConfig::from_url(proxy.url())
        .max_lifetime(LIFETIME)
        .sweep_interval(Duration::from_millis(20));
    let (supervisor, main) = spawn(main).await;
    // Open connections stay.
    proxy.refuse();
    let failures = || pool(&supervisor).dial_failures;
    eventually_async(SOON, "successors are tried", || failures() >= 5).await;
    let pong: String = main.query(cmd("PING")).await.expect("the old one");
    assert_eq!(pong, "PONG");
    let pool = || pool(&supervisor);
    assert_eq!(
        (pool().shared, pool().opened, pool().evicted.total()),
        (1, 1, 0)
    );
    proxy.heal();
    eventually_async(SOON, "it is replaced", || pool().evicted.lifetime == 1).await;
    assert_eq!((pool().lost, pool().shared), (0, 1));
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_pool_of_one_connection_replaces_it_when_it_is_too_old() {
    let server = RedisServer::start();
    let main = DatabaseConfig::from_url(server.url())
        .max_connections(1)
        .max_lifetime(LIFETIME)
        .sweep_interval(Duration::from_millis(50));
    let (supervisor, main) = spawn(main).await;
    let first = ids(&server);
    let is_another = || {
        let now = ids(&server);
        now.len() == 1 && now != first
    };
    let start = Instant::now();
    while !is_another() {
        assert!(start.elapsed() < SOON);
        let _: i64 = main.query(cmd("INCR").arg("n")).await.expect("as usual");
    }
    let counts = || (pool(&supervisor).evicted.lifetime, pool(&supervisor).opened);
    let is_counted = || counts() == (1, 2);
    eventually_async(SOON, "it is counted once", is_counted).await;
    supervisor.shutdown(SOON).await;
}
