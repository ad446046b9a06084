//! A supervisor under test.

use std::time::Duration;

use redis_steward::{Config, Database, DatabaseConfig, Supervisor};

/// A supervisor of one database, "main", which is healthy, and its handle.
pub async fn spawn(main: DatabaseConfig) -> (Supervisor, Database) {
    let config = Config::new().database("main", main);
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    let soon = Duration::from_secs(10);
    supervisor.ready(soon).await.expect("ready");
    let main = supervisor.database("main").expect("main");
    (supervisor, main)
}
