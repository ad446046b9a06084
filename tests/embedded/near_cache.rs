//! The near cache of databases on the embedded server, alone and as a cluster.

use std::time::Duration;

use redis::{Cmd, cmd};
use redis_steward::{Database, DatabaseConfig, EvictionPolicy, MemoryServer, Source};

use crate::common::{eventually_async, spawn, words};

const SOON: Duration = Duration::from_secs(20);

async fn read(cached: &Database) -> (Option<String>, Source) {
    let get = cmd("GET").arg("a").take();
    let read = cached.query_with_source(&get).await;
    read.expect("a reply")
}

/// Reads until the reply is kept.
async fn until_kept(cached: &Database, value: &str) {
    let reading = async {
        loop {
            let (read, source) = read(cached).await;
            assert_eq!(read.as_deref(), Some(value));
            if source == Source::Cache {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let kept = tokio::time::timeout(SOON, reading).await;
    kept.expect("it is kept");
}

async fn until_read(cached: &Database, value: Option<&str>) {
    let reading = async {
        while read(cached).await.0.as_deref() != value {
            tokio::task::yield_now().await;
        }
    };
    let seen = tokio::time::timeout(SOON, reading).await;
    seen.expect("the change is seen");
}

async fn changes_are_seen(server: MemoryServer) {
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let cached = main.cached();
    let ask = |line: &str| -> Cmd { words(line) };
    let run = |line: &str| server.query::<redis::Value>(ask(line)).expect("a reply");
    run("SET a 1");
    until_kept(&cached, "1").await;
    run("SET a 2");
    until_read(&cached, Some("2")).await;
    until_kept(&cached, "2").await;
    run("FLUSHALL");
    until_read(&cached, None).await;
    // A key whose time comes.
    run("SET a 3 EX 100");
    until_read(&cached, Some("3")).await;
    until_kept(&cached, "3").await;
    server.advance(Duration::from_secs(101));
    until_read(&cached, None).await;
    // One that has to go for others.
    run("SET a 4");
    until_read(&cached, Some("4")).await;
    until_kept(&cached, "4").await;
    server.set_max_memory(1_100, EvictionPolicy::AllKeysLru);
    let set = ask("SET b 1");
    let _ = main.query::<redis::Value>(&set).await;
    eventually_async(SOON, "it was evicted", || server.get("a").is_none()).await;
    until_read(&cached, None).await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn changes_of_kept_replies_are_seen() {
    changes_are_seen(MemoryServer::new()).await;
}

#[tokio::test]
async fn changes_of_kept_replies_are_seen_in_a_cluster() {
    changes_are_seen(MemoryServer::new_cluster()).await;
}
