//! The log tells of an outage in a few lines, each at its level.

use std::time::Duration;

use futures_util::future::join_all;
use redis::cmd;
use redis_steward::{Config, DatabaseConfig, HealthState, Supervisor};
use tracing::Level;

use crate::{
    SOON,
    common::{LogCapture, LogEvent, RedisServer, eventually_async},
};

const NAMES: [&str; 3] = ["log-a", "log-b", "log-c"];

/// What operators see by default.
fn lines(database: &str) -> Vec<LogEvent> {
    let mut lines = LogCapture::events(database, "");
    lines.retain(|line| line.level <= Level::INFO);
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_three_databases_takes_a_dozen_lines_at_most() {
    LogCapture::start();
    let servers = NAMES.map(|_| RedisServer::start());
    let mut config = Config::new();
    for (name, server) in NAMES.iter().zip(&servers) {
        config = config.database(*name, DatabaseConfig::from_url(server.url()));
    }
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let before: usize = NAMES.iter().map(|name| lines(name).len()).sum();

    let load = NAMES.map(|name| {
        let database = supervisor.database(name).expect("a database");
        tokio::spawn(async move {
            loop {
                // It fails during the outage.
                let _ = database.query::<()>(cmd("PING")).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    });
    servers.iter().for_each(RedisServer::kill);
    let all = |is_meant: fn(&HealthState) -> bool| supervisor.states().values().all(is_meant);
    let are_down = || all(|state| matches!(state, HealthState::Down { .. }));
    eventually_async(SOON, "all are down", are_down).await;
    // Probes that fail are no lines.
    tokio::time::sleep(Duration::from_secs(3)).await;
    servers.iter().for_each(RedisServer::restart);
    let are_healthy = || all(|state| *state == HealthState::Healthy);
    eventually_async(SOON, "all are healthy", are_healthy).await;
    load.iter().for_each(|load| load.abort());
    join_all(load).await;
    supervisor.shutdown(SOON).await;

    let of_all = NAMES.map(lines);
    let number = of_all.iter().map(Vec::len).sum::<usize>() - before;
    assert!(number <= 12 + NAMES.len(), "{of_all:#?}");
    for (name, lines) in NAMES.iter().zip(&of_all) {
        let down = lines.iter().find(|line| line.get("state") == "down");
        let down = down.expect("a line about the outage");
        assert_eq!(down.level, Level::WARN);
        assert_eq!(down.get("circuit"), "open");
        assert!(down.get("cause").contains("refused"), "{down:?}");
        let text = format!("database {name} is down (the server cannot be reached)");
        assert_eq!(down.get("message"), text);
        let back = lines.iter().rfind(|line| line.get("state") == "healthy");
        assert_eq!(back.map(|line| line.level), Some(Level::INFO));
        for line in lines {
            assert_eq!(line.target, "redis_steward");
            let empty = line
                .fields
                .values()
                .any(|value| value.is_empty() || value == "\"\"");
            assert!(!empty, "{line:?}");
        }
    }
}
