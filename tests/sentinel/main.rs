//! Redis Sentinel: a database that follows the failovers of its service. Each test starts a primary, two replicas and
//! three sentinels.

#[path = "../common/mod.rs"]
mod common;

mod access;
mod away;
mod changes;
mod failovers;
mod learning;
mod nearest;
mod replicas;
mod tls;
mod writers;

use std::time::Duration;

use redis::cmd;
use redis_steward::{Database, DatabaseConfig, Failover, HealthEvents, WhenDown};
use tokio::time::timeout;

use crate::common::Sentinels;

/// Longer than any failover takes, also if the sentinels' votes are split and they vote again after ten seconds.
const SOON: Duration = Duration::from_secs(60);

/// A database whose callers wait as long as a failover takes.
fn patient(url: String) -> DatabaseConfig {
    DatabaseConfig::from_url(url)
        .command_timeout(SOON)
        .connect_timeout(Duration::from_secs(2))
        .when_down(WhenDown::Wait)
}

/// The next failover that subscribers are told.
async fn failover(events: &mut HealthEvents) -> Failover {
    let told = async {
        loop {
            let event = events.next().await.expect("the supervisor lives");
            if let Some(failover) = event.failover {
                return failover;
            }
        }
    };
    timeout(SOON, told).await.expect("a failover in time")
}

/// Has the sentinels fail over for the first time, and waits until subscribers are told. Returns what an increment gives
/// at the new primary.
async fn fail_over(site: &Sentinels, events: &mut HealthEvents, main: &Database) -> i64 {
    site.fail_over();
    let told = failover(events).await;
    let new = site.primary_after(site.servers[0].port());
    assert_eq!(*told.to, address(new.port()));
    let count: i64 = main.query(cmd("INCR").arg("a")).await.expect("a reply");
    assert_eq!(new.cli(&["GET", "a"]), count.to_string());
    count
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
