//! Goal: a flood of messages to one database is bounded, and disturbs no other database (row 83 of the fault
//! matrix). Method: an allocator that counts, and a thread that sends without a pause.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use redis::cmd;
use redis_steward::{Config, DatabaseConfig, Execute, Supervisor};
use tokio::runtime::Builder;

use crate::{
    alone,
    common::{RedisServer, eventually_async},
    live_bytes,
};

const SOON: Duration = Duration::from_secs(60);
const FLOOD: Duration = Duration::from_secs(3);
/// The time that a lease of the other database may take.
const LEASE: Duration = Duration::from_secs(1);
const MAX_GROWTH: usize = 100 << 20;

#[test]
fn row_83_a_flood_of_messages_is_bounded_and_costs_its_own_database_only() {
    alone(Builder::new_multi_thread().worker_threads(2), flood_run());
}

async fn flood_run() {
    let server = RedisServer::start();
    let config = Config::new()
        .database(
            "flooded",
            DatabaseConfig::from_url(server.url()).max_in_flight(10_000),
        )
        .database("other", DatabaseConfig::from_url(server.url_with_db(1)));
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let flooded = supervisor.database("flooded").expect("flooded");
    let other = supervisor.database("other").expect("other");
    drop(other.lease().await.expect("a lease"));

    let before = live_bytes();
    let ends = Arc::new(AtomicBool::new(false));
    let flood = thread::spawn({
        let (recipient, ends) = (flooded.recipient(), ends.clone());
        move || {
            let mut sent = 0;
            while !ends.load(Relaxed) {
                recipient.do_send(Execute::new(cmd("PING")));
                sent += 1;
            }
            sent
        }
    });
    let (start, mut most) = (Instant::now(), 0);
    while start.elapsed() < FLOOD {
        let lease = other.with_timeout(LEASE).lease().await;
        drop(lease.expect("a lease of the other database, in time"));
        most = most.max(live_bytes().saturating_sub(before));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ends.store(true, Relaxed);
    let sent: u64 = flood.join().expect("it did not panic");
    assert!(most < MAX_GROWTH, "{most} bytes for {sent} messages");
    let ended = || {
        let stats = &supervisor.statistics().databases["flooded"];
        // A ready database has made calls of its own.
        stats.succeeded + stats.refused >= sent && stats.in_flight == 0
    };
    eventually_async(SOON, "every message has run or is counted", ended).await;
    let is_as_before = || live_bytes() < before + MAX_GROWTH / 10;
    eventually_async(SOON, "the memory is given back", is_as_before).await;
    flooded.query::<()>(cmd("PING")).await.expect("it works on");
    supervisor.shutdown(SOON).await;
}
