//! Goal: leases leak no memory, also with the leak warning enabled. Method: an allocator that counts.

use std::time::Duration;

use redis_steward::{Database, DatabaseConfig};
use tokio::runtime::Builder;

use crate::{
    alone,
    common::{RedisServer, eventually_async, spawn},
    live_bytes,
};

const LEASES: usize = 20_000;
const SOON: Duration = Duration::from_secs(20);
/// Less than two bytes per lease. Any leaked part of a lease would be hundreds.
const SLACK: usize = 32 * 1024;

#[test]
fn leases_leak_no_memory() {
    alone(&mut Builder::new_current_thread(), leases_run());
}

async fn leases_run() {
    let server = RedisServer::start();
    // Longer than the test, so no warning is due.
    let watched = DatabaseConfig::from_url(server.url()).leak_warning(Duration::from_secs(3600));
    let (supervisor, main) = spawn(watched).await;
    leases(&main, LEASES / 10).await;
    let before = live_bytes();
    leases(&main, LEASES).await;
    let is_as_before = || live_bytes() < before + SLACK;
    eventually_async(SOON, "there is no more than before", is_as_before).await;
    supervisor.shutdown(SOON).await;
}

async fn leases(main: &Database, number: usize) {
    for _ in 0..number {
        drop(main.lease().await.expect("a lease"));
    }
}
