//! Nodes that fail.

use std::time::Duration;

use redis::cmd;
use redis_steward::{DatabaseConfig, Error, HealthState, Limit, Reason};
use tokio::task::block_in_place;

use super::{Rig, key_of, load::Load};
use crate::common::{
    cluster::Cluster, eventually_asked, eventually_async, left_out_on_embedded, steward::spawn,
};

const SOON: Duration = Duration::from_secs(30);

/// A cluster whose other shards serve while one is down.
async fn partial(primaries: usize, replicas: usize) -> Rig {
    let cluster = Cluster::builder(primaries, replicas);
    let cluster = cluster.arg("cluster-require-full-coverage", "no").start();
    Rig::with(cluster, |main| main).await
}

fn is_degraded(rig: &Rig) -> bool {
    let reason = Reason::ShardDown;
    rig.main.state() == HealthState::Degraded { reason }
}

async fn until_healthy(rig: &Rig) {
    let is_well = || rig.main.state() == HealthState::Healthy;
    eventually_async(SOON, "healthy again", is_well).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_224_a_killed_primary_concerns_its_slots_alone() {
    if left_out_on_embedded() {
        return;
    }
    let rig = partial(3, 1).await;
    let keys: Vec<_> = (0..3).map(|node| key_of(&rig.cluster, node)).collect();
    let (of_first, of_others) = (
        Load::on(&rig.main, [keys[0].clone()]),
        Load::on(&rig.main, keys[1..].to_vec()),
    );
    of_first.more(100).await;
    of_others.more(100).await;
    block_in_place(|| rig.cluster.kill_in_step(0));
    eventually_async(SOON, "ShardDown", || is_degraded(&rig)).await;
    let promoted = block_in_place(|| rig.cluster.await_promotion(0));
    assert_ne!(promoted, 0);
    of_first.more(100).await;
    until_healthy(&rig).await;
    let tallies = of_first.end(&rig.main).await;
    for (_, error) in &tallies[0].failed {
        let is_expected = matches!(
            error,
            Error::CircuitOpen { .. } | Error::ConnectionLost { .. } | Error::TimedOut { .. }
        );
        assert!(is_expected, "{error}");
    }
    assert!(
        tallies[0].unknown <= 1,
        "one call was on the connection: {tallies:?}"
    );
    for tally in of_others.end(&rig.main).await {
        assert!(tally.failed.is_empty(), "{tally:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_224_patient_callers_wait_for_the_replica() {
    if left_out_on_embedded() {
        return;
    }
    let rig = partial(3, 1).await;
    let patient = rig.main.patient().with_timeout(SOON);
    let load = Load::on(&patient, [key_of(&rig.cluster, 0)]);
    load.more(100).await;
    block_in_place(|| rig.cluster.kill_in_step(0));
    load.more(100).await;
    let tallies = load.end(&rig.main).await;
    let unexpected = tallies[0].failed.iter().map(|(_, error)| error);
    let unexpected: Vec<_> = unexpected
        .filter(|error| !matches!(error, Error::ConnectionLost { .. }))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    assert!(tallies[0].failed.len() <= 1, "what was on the connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_225_a_replica_that_is_promoted_by_hand_costs_no_call() {
    if left_out_on_embedded() {
        return;
    }
    let rig = partial(3, 1).await;
    let load = Load::on(&rig.main, (0..12).map(|n| format!("key:{n}")));
    load.more(500).await;
    for shard in 0..3 {
        let replica = rig.cluster.replicas_of(shard).start;
        block_in_place(|| rig.cluster.failover_by_hand(replica));
        load.more(500).await;
    }
    for tally in load.end(&rig.main).await {
        let failed: Vec<_> = tally
            .failed
            .iter()
            .map(|(_, error)| error.to_string())
            .collect();
        assert!(failed.is_empty(), "{}: {failed:?}", tally.key);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_226_a_frozen_node_does_not_hold_up_the_others() {
    if left_out_on_embedded() {
        return;
    }
    let cluster = Cluster::builder(3, 1);
    let cluster = cluster.arg("cluster-require-full-coverage", "no").start();
    let rig = Rig::with(cluster, |main| {
        main.attempt_timeout(Duration::from_millis(500))
            .command_timeout(Duration::from_secs(1))
    })
    .await;
    let keys: Vec<_> = (0..3).map(|node| key_of(&rig.cluster, node)).collect();
    let (of_first, of_others) = (
        Load::on(&rig.main, [keys[0].clone()]),
        Load::on(&rig.main, keys[1..].to_vec()),
    );
    of_first.more(100).await;
    block_in_place(|| rig.cluster.freeze_in_step(0));
    of_others.more(2_000).await;
    of_first.more(100).await;
    block_in_place(|| rig.cluster.thaw(0));
    until_healthy(&rig).await;
    of_first.end(&rig.main).await;
    for tally in of_others.end(&rig.main).await {
        assert!(tally.failed.is_empty(), "{tally:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_227_all_nodes_are_restarted() {
    if left_out_on_embedded() {
        return;
    }
    let cluster = Cluster::builder(3, 0).arg("appendonly", "yes").start();
    let rig = Rig::with(cluster, |main| main).await;
    let set = cmd("SET").arg("a").arg(1).take();
    rig.main.query::<()>(set).await.expect("SET");
    block_in_place(|| (0..3).for_each(|node| rig.cluster.kill(node)));
    let is_down = || matches!(rig.main.state(), HealthState::Down { .. });
    eventually_async(SOON, "down", is_down).await;
    block_in_place(|| (0..3).for_each(|node| rig.cluster.restart(node)));
    until_healthy(&rig).await;
    eventually_asked(SOON, "served", || async {
        rig.main.query::<i64>(cmd("GET").arg("a")).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_228_one_seed_that_is_up_is_enough() {
    if left_out_on_embedded() {
        return;
    }
    let cluster = Cluster::start(3, 0);
    let seeds = [
        "127.0.0.1:1",
        "127.0.0.1:2",
        &cluster.seeds()[1],
        "127.0.0.1:3",
    ];
    let (supervisor, main) = spawn(DatabaseConfig::cluster(seeds)).await;
    for n in 0..30 {
        let set = cmd("SET").arg(format!("key:{n}")).arg(n).take();
        main.query::<()>(set).await.expect("SET");
    }
    let nodes = supervisor.statistics().databases;
    assert_eq!(
        nodes
            .values()
            .filter(|stats| stats.node_of.is_some())
            .count(),
        3
    );
}

#[tokio::test]
async fn row_229_a_server_that_is_no_node_of_a_cluster() {
    if left_out_on_embedded() {
        return;
    }
    let server = crate::common::RedisServer::start();
    let config = DatabaseConfig::cluster([format!("127.0.0.1:{}", server.port())]);
    let config = redis_steward::Config::new().database("main", config);
    let supervisor = redis_steward::Supervisor::spawn(config)
        .await
        .expect("spawned");
    let main = supervisor.database("main").expect("there");
    let is_down = || matches!(main.state(), HealthState::Down { .. });
    eventually_async(SOON, "down", is_down).await;
    let error = main
        .query::<i64>(cmd("GET").arg("a"))
        .await
        .expect_err("no cluster");
    let text = error.to_string();
    assert!(text.contains("cluster support disabled"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_in_flight_are_bounded_for_each_node_and_for_all() {
    if left_out_on_embedded() {
        return;
    }
    // Four nodes would be within four times the bound of one.
    let rig = Rig::with(Cluster::start(5, 0), |main| main.max_in_flight(1)).await;
    let keys: Vec<_> = (0..5).map(|node| key_of(&rig.cluster, node)).collect();
    for key in &keys {
        let set = cmd("SET").arg(key).arg(1).take();
        rig.main.query::<()>(set).await.expect("one at a time");
    }
    for node in 0..5 {
        rig.cluster.freeze(node);
    }
    let get = |key: &String| {
        let (main, get) = (rig.main.clone(), cmd("GET").arg(key).take());
        tokio::spawn(async move { main.query::<i64>(get).await })
    };
    let under_way = || {
        let statistics = rig.supervisor.statistics();
        let nodes = statistics.databases.values();
        nodes.map(|stats| stats.in_flight).sum::<usize>()
    };
    let mut calls = Vec::new();
    for (n, key) in keys[..4].iter().enumerate() {
        calls.push(get(key));
        eventually_async(SOON, "it is in flight", || under_way() == n + 1).await;
    }
    let limit = |result: Result<i64, Error>| match result.expect_err("no room") {
        Error::Overloaded {
            limit, database, ..
        } => (limit, database.to_string()),
        other => panic!("{other}"),
    };
    let first = format!("main (127.0.0.1:{})", rig.cluster.node(0).port());
    let at_node = get(&keys[0]).await.expect("no panic");
    assert_eq!(limit(at_node), (Limit::Commands(1), first));
    let in_all = get(&keys[4]).await.expect("no panic");
    assert_eq!(limit(in_all), (Limit::Commands(4), "main".to_owned()));
    for node in 0..5 {
        rig.cluster.thaw(node);
    }
    for call in calls {
        let value = call.await.expect("no panic").expect("a reply");
        assert_eq!(value, 1);
    }
    eventually_async(SOON, "all have ended", || under_way() == 0).await;
}
