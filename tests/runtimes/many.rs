//! Goal: one change among a thousand databases costs little, and no thread. Method: embedded servers.

use std::time::{Duration, Instant};

use redis::cmd;
use redis_steward::{Config, DatabaseChange, DatabaseConfig, Supervisor};

use crate::{ALONE, SOON, THREADS, common::proc, until_no_thread_is_left};

const DATABASES: usize = 1_000;
/// A debug build on a busy machine. The bench `apply` measures it.
const SLACK: Duration = Duration::from_secs(30);

fn config(parked: usize) -> Config {
    let database = |number: usize| {
        let database = DatabaseConfig::from_url("memory://apply-many");
        match number {
            500 => database.max_parked(parked),
            _ => database,
        }
    };
    (0..DATABASES).fold(Config::new(), |config, number| {
        config.database(format!("database-{number}"), database(number))
    })
}

#[tokio::test]
async fn one_change_among_a_thousand_databases_is_quick_and_takes_no_thread() {
    let _alone = ALONE.lock().await;
    let supervisor = Supervisor::spawn(config(1)).await.expect("spawn");
    supervisor.ready(6 * SOON).await.expect("ready");
    let threads = || proc::threads_named(THREADS).len();
    let before = threads();
    for parked in 2..5 {
        let config = config(parked);
        let began = Instant::now();
        let applied = supervisor.apply(config).await.expect("applied");
        let took = began.elapsed();
        assert!(took < SLACK, "{took:?}");
        let changed = applied.databases.values();
        let changed = changed.filter(|change| **change != DatabaseChange::Unchanged);
        assert_eq!(changed.count(), 1);
    }
    let changed = supervisor.database("database-500").expect("a database");
    let changed = changed.with_timeout(SLACK);
    changed.query::<()>(cmd("PING")).await.expect("pong");
    assert_eq!(threads(), before);
    supervisor.shutdown(SOON).await;
    until_no_thread_is_left();
}
