//! Goal: an application that has a cluster in production can run its tests on the embedded server, by another URL. Method:
//! what is shown of three real nodes is shown of a cluster within the process, of one behind a socket, and of one real
//! node, from which neither is to differ.

use std::collections::BTreeSet;

use redis::cmd;
use redis_steward::{
    Config, Database, DatabaseConfig, Error, HealthState, MemoryServer, PubSubEvent, Supervisor,
};

use super::{commands, pipelines};
use crate::common::{cluster::Cluster, eventually_async, left_out_on_embedded, steward::spawn};

const SOON: std::time::Duration = std::time::Duration::from_secs(20);

async fn shows_what_several_show(url: &str, empty: impl Fn()) {
    let (supervisor, main) = spawn(DatabaseConfig::from_url(url)).await;
    commands::commands_of_one_key(&main).await;
    empty();
    commands::split_commands(&main).await;
    commands::refusals(&main).await;
    commands::commands_without_keys(&main).await;
    empty();
    pipelines::many_slots(&main).await;
    empty();
    pipelines::an_error(&main).await;
    empty();
    pipelines::atomic(&main).await;
    pipelines::order(&main).await;
    empty();
    handles(&main).await;
    has_one_node(&supervisor).await;
    supervisor.shutdown(SOON).await;
}

/// Transactions, leases, scans, channels.
async fn handles(main: &Database) {
    let (sum,): (i64,) = main
        .transaction(&["{t}:a", "{t}:b"], |mut lease, mut pipe| async move {
            let now: Option<i64> = lease.query(cmd("GET").arg("{t}:a")).await?;
            pipe.set("{t}:b", now.unwrap_or(1)).ignore();
            pipe.incr("{t}:b", 1);
            Ok::<_, Error>(())
        })
        .await
        .expect("a transaction");
    assert_eq!(sum, 2);
    let mut lease = main.lease_for("key").await.expect("a lease");
    let set = cmd("SET").arg("key").arg(1).take();
    lease.query::<()>(&set).await.expect("SET");
    drop(lease);
    let mut scan = main.scan().batch(1);
    let mut seen = BTreeSet::new();
    while let Some(keys) = scan.next().await.expect("a batch") {
        seen.extend(keys);
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
    let mut orders = main.subscribe(["orders"]).await.expect("subscribed");
    let publish = cmd("PUBLISH").arg("orders").arg("new").take();
    assert_eq!(main.query::<i64>(&publish).await.expect("PUBLISH"), 1);
    let message = orders.next().await;
    assert!(
        matches!(message, Some(PubSubEvent::Message { .. })),
        "{message:?}"
    );
}

async fn has_one_node(supervisor: &Supervisor) {
    let statistics = supervisor.statistics();
    let nodes = statistics.databases.values();
    let nodes: Vec<_> = nodes
        .filter(|stats| stats.node_of.as_deref() == Some("main"))
        .collect();
    assert_eq!(nodes.len(), 1);
    assert_eq!(nodes[0].health, HealthState::Healthy);
}

#[tokio::test]
async fn a_cluster_in_the_process_does_as_several_nodes() {
    let server = MemoryServer::named_cluster("one-node");
    assert_eq!(server.url(), "memory+cluster://one-node");
    let empty = || server.query(cmd("FLUSHALL")).expect("OK");
    shows_what_several_show("memory+cluster://one-node", empty).await;
}

#[tokio::test]
async fn an_embedded_cluster_behind_a_socket_does_as_several_nodes() {
    let server = MemoryServer::new_cluster();
    let listener = server.listen("127.0.0.1:0").await.expect("it listens");
    let empty = || server.query(cmd("FLUSHALL")).expect("OK");
    let url = listener.url();
    assert!(url.starts_with("redis+cluster://127.0.0.1:"), "{url}");
    shows_what_several_show(&url, empty).await;
}

#[tokio::test]
async fn one_real_node_does_as_several() {
    if left_out_on_embedded() {
        return;
    }
    let cluster = Cluster::start(1, 0);
    let empty = || drop(cluster.node(0).cli(&["FLUSHALL"]));
    shows_what_several_show(&cluster.url(), empty).await;
}

/// Without a name it is the database's own, and stays so.
#[tokio::test]
async fn a_cluster_without_a_name_keeps_its_data_through_changes() {
    let config = |timeout| {
        let main = DatabaseConfig::from_url("memory+cluster://").command_timeout(timeout);
        Config::new().database("main", main)
    };
    let supervisor = Supervisor::spawn(config(SOON)).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let main = supervisor.database("main").expect("main");
    let set = cmd("SET").arg("a").arg(1).take();
    main.query::<()>(&set).await.expect("SET");
    supervisor.apply(config(SOON / 2)).await.expect("applied");
    let value: i64 = main.query(cmd("GET").arg("a")).await.expect("GET");
    assert_eq!(value, 1);
    let is_healthy = || main.state() == HealthState::Healthy;
    eventually_async(SOON, "healthy", is_healthy).await;
}

/// As at a real one, the only number is 0.
#[tokio::test]
async fn a_cluster_has_no_numbers() {
    let main = DatabaseConfig::from_url("memory+cluster:///1");
    let config = Config::new().database("main", main);
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    let not_ready = supervisor.ready(SOON).await.expect_err("SELECT 1");
    let text = not_ready.to_string();
    assert!(text.contains("SELECT is not allowed"), "{text}");
}
