//! Goal: callers that ask at once for connections of their own get them after the time that one connection takes,
//! also where the server is far away (rows 79 and 80 of `docs/faults.md`). Method: a real server behind a proxy that
//! delays every byte.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use redis::cmd;
use redis_steward::{Database, DatabaseConfig, Supervisor};

use crate::common::{FaultProxy, Mode, RedisServer, eventually_async, spawn};

const SOON: Duration = Duration::from_secs(10);
const EACH_WAY: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(80)];
/// All that fit beside the shared connection.
const CALLERS: usize = 49;

/// A server at this distance, from the time at which its database is healthy.
async fn far_away(each_way: Duration) -> (RedisServer, FaultProxy, Supervisor, Database) {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let main = DatabaseConfig::from_url(proxy.url())
        .max_connections(CALLERS + 1)
        .acquire_timeout(Duration::from_secs(1));
    let (supervisor, main) = spawn(main).await;
    let (requests, replies) = (each_way, each_way);
    proxy.set(Mode::Delay { requests, replies });
    (server, proxy, supervisor, main)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_79_a_burst_of_leases_at_a_distance_is_served_at_once() {
    for each_way in EACH_WAY {
        let (_server, proxy, supervisor, main) = far_away(each_way).await;
        let leases = join_all((0..CALLERS).map(|_| main.lease())).await;
        let leases: Result<Vec<_>, _> = leases.into_iter().collect();
        let mut leases = leases.unwrap_or_else(|error| panic!("{each_way:?}: {error}"));
        let pongs = leases
            .iter_mut()
            .map(|lease| lease.query::<String>(cmd("PING")));
        for pong in join_all(pongs).await {
            assert_eq!(pong.expect("pong"), "PONG");
        }
        let pool = supervisor.statistics().databases["main"].pool.clone();
        assert_eq!((pool.in_use, pool.opened), (CALLERS, CALLERS as u64 + 1));
        drop(leases);
        proxy.heal();
        supervisor.shutdown(SOON).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_80_a_burst_of_blocking_commands_at_a_distance_is_served_at_once() {
    for each_way in EACH_WAY {
        let (server, proxy, supervisor, main) = far_away(each_way).await;
        let pop = |_| {
            let main = main.clone();
            tokio::spawn(async move { main.execute(cmd("BLPOP").arg("queue").arg(60)).await })
        };
        let workers: Vec<_> = (0..CALLERS).map(pop).collect();
        let blocked = || server.info("clients")["blocked_clients"].clone();
        let all_wait = || blocked() == CALLERS.to_string();
        eventually_async(SOON, "all workers wait at the server", all_wait).await;
        let items: BTreeSet<_> = (0..CALLERS).map(|item| item.to_string()).collect();
        let mut push = vec!["RPUSH", "queue"];
        push.extend(items.iter().map(String::as_str));
        server.command(&push);
        let mut popped = BTreeSet::new();
        for worker in workers {
            let popping = worker.await.expect("no panic");
            let value = popping.unwrap_or_else(|error| panic!("{each_way:?}: {error}"));
            let (_, item): (String, String) = redis::from_redis_value(value).expect("an item");
            popped.insert(item);
        }
        assert_eq!(popped, items, "each gets one of its own");
        proxy.heal();
        supervisor.shutdown(SOON).await;
    }
}
