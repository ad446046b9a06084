//! Goal: the pool opens more shared connections when one is saturated, and closes them when they are
//! spare. Method: a real server, and callers with large array replies that keep the task of a
//! connection busy; the server lists the connections that carried commands.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use futures_util::future::join_all;
use redis::{Value, cmd};
use redis_steward::{Database, DatabaseConfig, PoolStats, Supervisor};

use crate::common::{RedisServer, eventually_async, spawn};

const SOON: Duration = Duration::from_secs(30);
const CALLERS: usize = 256;
const PARTS: usize = 1000;
const MOST: usize = 3;

fn pool(supervisor: &Supervisor) -> PoolStats {
    let pool = supervisor.statistics().databases["main"].pool.clone();
    assert!(pool.shared + pool.opening <= MOST, "{pool:?}");
    pool
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saturation_opens_more_shared_connections_and_idleness_closes_them() {
    let server = RedisServer::start();
    let mut push = vec!["RPUSH", "k"];
    push.extend(["v"; PARTS]);
    server.cli(&push);
    let database = DatabaseConfig::from_url(server.url())
        .shared_connections(1, MOST)
        .sweep_interval(Duration::from_millis(200))
        // Long enough for a slow machine.
        .command_timeout(SOON)
        .attempt_timeout(SOON);
    let (supervisor, main) = spawn(database).await;
    let load = Load::start(&main);
    let are_open = || pool(&supervisor).shared == MOST;
    eventually_async(SOON, "the maximum is open", are_open).await;
    let are_used = || {
        let clients = server.clients_named("redis-steward:main");
        let used = clients.iter().filter(|client| client["cmd"] == "lrange");
        used.count() == MOST
    };
    eventually_async(SOON, "all of them carry commands", are_used).await;
    tokio::task::block_in_place(|| load.stop());

    eventually_async(SOON, "the spare connections are closed", || {
        pool(&supervisor).open == 1
    })
    .await;
    let clients = || server.clients_named("redis-steward").len();
    eventually_async(SOON, "the server agrees", || clients() == 1).await;
    let pool = pool(&supervisor);
    assert_eq!(pool.evicted.spare, pool.opened - 1);
    assert_eq!((pool.evicted.total(), pool.lost), (pool.evicted.spare, 0));
    supervisor.shutdown(SOON).await;
}

/// Callers on a separate thread, which leaves the runtime to the tasks of the connections.
struct Load {
    callers: JoinHandle<()>,
    is_over: Arc<AtomicBool>,
}

impl Load {
    fn start(main: &Database) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let calls = (0..CALLERS).map(|_| call(main.clone(), is_over.clone()));
        let calls = join_all(calls);
        let callers = thread::spawn(move || {
            futures_executor::block_on(calls);
        });
        Self { callers, is_over }
    }

    fn stop(self) {
        self.is_over.store(true, Relaxed);
        self.callers.join().expect("no command fails");
    }
}

/// Repeats one command until the load ends.
async fn call(main: Database, is_over: Arc<AtomicBool>) {
    let all = cmd("LRANGE").arg("k").arg(0).arg(-1).take();
    while !is_over.load(Relaxed) {
        match main.execute(&all).await.expect("no command fails") {
            Value::Array(parts) => assert_eq!(parts.len(), PARTS),
            other => panic!("{other:?}"),
        }
    }
}
