//! A change of the configuration while a supervisor runs: databases are added, removed, resized, moved and given other
//! logins, under load, and no call fails on the handles that stay.

#[path = "../common/mod.rs"]
mod common;

mod load;
mod moves;
mod names;
mod outage;
mod refusals;
mod resize;
mod roster;
mod settings;
mod watch;

use std::time::Duration;

use redis_steward::{Config, DatabaseChange, DatabaseConfig, DatabaseStats, Supervisor};

use crate::common::eventually_async;

const SOON: Duration = Duration::from_secs(20);

/// A machine that has much else to do may take a second to open a connection.
fn at_leisure(main: DatabaseConfig) -> DatabaseConfig {
    main.acquire_timeout(SOON)
}

fn patient(url: impl Into<String>) -> DatabaseConfig {
    at_leisure(DatabaseConfig::from_url(url))
}

fn single(main: DatabaseConfig) -> Config {
    Config::new().database("main", main)
}

/// Applies these settings to the only database, "main".
async fn apply(supervisor: &Supervisor, main: DatabaseConfig) -> DatabaseChange {
    let applied = supervisor.apply(single(main)).await.expect("applied");
    applied.databases["main"].clone()
}

fn stats(supervisor: &Supervisor) -> DatabaseStats {
    supervisor.statistics().databases["main"].clone()
}

/// Waits until all connections with old settings are gone and replaced.
async fn until_replaced(supervisor: &Supervisor, outdated_before: u64) {
    let is_replaced = || {
        let pool = stats(supervisor).pool;
        pool.evicted.outdated > outdated_before && pool.closing == 0 && pool.shared > 0
    };
    eventually_async(SOON, "the connections are replaced", is_replaced).await;
}

fn reconnecting(settings: &[&'static str]) -> DatabaseChange {
    let settings = settings.to_vec();
    DatabaseChange::Reconnecting { settings }
}

fn took_effect(settings: &[&'static str]) -> DatabaseChange {
    let settings = settings.to_vec();
    DatabaseChange::TookEffect { settings }
}
