//! Reads from the replicas of a cluster.

use std::time::Duration;

use redis::{cmd, pipe};
use redis_steward::{DatabaseConfig, Error, Refusal, Replica, ReplicaStatus};
use tokio::task::block_in_place;

use super::{Rig, key_of};
use crate::common::{cluster::Cluster, eventually_async, left_out_on_embedded};

pub(super) const SOON: Duration = Duration::from_secs(30);

fn serves(replica: &ReplicaStatus) -> bool {
    replica.unusable.is_none() && replica.staleness.is_some()
}

pub(super) async fn until_serve(reads: &Replica, replicas: usize) {
    let all = || reads.status().iter().filter(|one| serves(one)).count() == replicas;
    eventually_async(SOON, "all replicas serve", all).await;
}

/// The calls of a command that the primaries have run, and those that their replicas have run. Counted are those that failed
/// as well.
pub(super) fn calls(cluster: &Cluster, command: &str) -> (u64, u64) {
    let of = |nodes: &mut dyn Iterator<Item = usize>| {
        nodes
            .map(|node| cluster.node(node).commandstat(command))
            .sum()
    };
    let primaries = cluster.replicas_of(0).start;
    (of(&mut (0..primaries)), of(&mut (primaries..cluster.len())))
}

pub(super) async fn fill(rig: &Rig, keys: &[String]) {
    let mut pipeline = pipe();
    for (n, key) in keys.iter().enumerate() {
        pipeline.set(key, n).ignore();
    }
    rig.main.pipeline::<()>(&pipeline).await.expect("writes");
    for node in 0..rig.cluster.replicas_of(0).start {
        block_in_place(|| rig.cluster.until_replicated(node));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_234_replicas_of_a_cluster_serve_reads_and_refuse_writes() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(3, 1).await;
    let keys: Vec<_> = (0..30).map(|n| format!("key:{n}")).collect();
    fill(&rig, &keys).await;
    let reads = rig.main.replica();
    // From the first one on, at first by the primaries.
    let first: usize = reads.query(cmd("GET").arg(&keys[7])).await.expect("GET");
    assert_eq!(first, 7);
    until_serve(&reads, 3).await;

    let before = calls(&rig.cluster, "get");
    for (n, key) in keys.iter().enumerate() {
        let found: usize = reads.query(cmd("GET").arg(key)).await.expect("GET");
        assert_eq!(found, n);
    }
    let mut pipeline = pipe();
    for key in &keys {
        pipeline.get(key);
    }
    let found: Vec<usize> = reads.pipeline(&pipeline).await.expect("a pipeline");
    assert_eq!(found, (0..30).collect::<Vec<_>>());
    let after = calls(&rig.cluster, "get");
    assert_eq!((after.0 - before.0, after.1 - before.1), (0, 60));

    let before = calls(&rig.cluster, "mget");
    let mut mget = cmd("MGET");
    mget.arg(&keys).arg("none");
    let found: Vec<Option<usize>> = reads.query(&mget).await.expect("MGET");
    let expected: Vec<_> = (0..30).map(Some).chain([None]).collect();
    assert_eq!(found, expected);
    let mut mixed = pipe();
    mixed.add_command(mget).get(&keys[3]).cmd("DBSIZE");
    let (found, three, size): (Vec<Option<usize>>, usize, usize) =
        reads.pipeline(&mixed).await.expect("a pipeline");
    assert_eq!((found, three, size), (expected, 3, 30));
    let after = calls(&rig.cluster, "mget");
    assert_eq!(after.0, before.0, "the primaries have run none");
    let before = calls(&rig.cluster, "dbsize");
    let size: usize = reads.query(cmd("DBSIZE")).await.expect("DBSIZE");
    assert_eq!(size, 30);
    let after = calls(&rig.cluster, "dbsize");
    assert_eq!((after.0 - before.0, after.1 - before.1), (0, 3));
    let mut transaction = pipe();
    transaction.atomic().get("{foo}:1").exists("{foo}:2");
    let found: (Option<usize>, bool) = reads.pipeline(&transaction).await.expect("one slot");
    assert_eq!(found, (None, false));
    let mut apart = pipe();
    apart.get(&keys[0]).get("{foo}:1").get(&keys[1]);
    let found: (usize, Option<usize>, usize) = reads.pipeline(&apart).await.expect("reads");
    assert_eq!(found, (0, None, 1));

    let refused = reads.query::<()>(cmd("SET").arg("a").arg("b")).await;
    let error = refused.expect_err("a write");
    let reason = Refusal::Writes;
    assert!(
        matches!(&error, Error::CommandRefused { refusal, .. } if *refusal == reason),
        "{error}"
    );
    let union = cmd("SUNION").arg("a").arg("b").take();
    let error = reads.query::<()>(&union).await.expect_err("two slots");
    assert!(
        matches!(
            &error,
            Error::CommandRefused {
                refusal: Refusal::Slots { .. },
                ..
            }
        ),
        "{error}"
    );

    // Each is a database, of its node.
    let statistics = rig.supervisor.statistics();
    let of_node = |node: usize| {
        let port = |node: usize| rig.cluster.node(node).port();
        let (node, replica) = (port(node), port(rig.cluster.replicas_of(node).start));
        let of = format!("main (127.0.0.1:{node})");
        (format!("{of} (127.0.0.1:{replica})"), of)
    };
    for (name, node) in (0..3).map(of_node) {
        let replica = statistics.databases.get(&*name).expect(&name);
        assert_eq!(replica.replica_of.as_deref(), Some(&*node));
    }
    // They go with the cluster.
    let config =
        redis_steward::Config::new().database("main", DatabaseConfig::from_url("memory://"));
    rig.supervisor.apply(config).await.expect("applied");
    let is_alone = || rig.supervisor.statistics().databases.len() == 1;
    eventually_async(SOON, "the parts are removed", is_alone).await;
    assert!(!reads.status().iter().any(serves));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_235_reads_go_on_while_nodes_die() {
    if left_out_on_embedded() {
        return;
    }
    let cluster = Cluster::builder(3, 1);
    let cluster = cluster.arg("cluster-require-full-coverage", "no").start();
    let rig = Rig::with(cluster, |main| {
        main.attempt_timeout(Duration::from_millis(300))
    })
    .await;
    let keys: Vec<_> = (0..3).map(|node| key_of(&rig.cluster, node)).collect();
    fill(&rig, &keys).await;
    let reads = rig.main.replica();
    until_serve(&reads, 3).await;
    let read_all = async || {
        for (n, key) in keys.iter().enumerate() {
            let found: usize = reads.query(cmd("GET").arg(key)).await.expect("GET");
            assert_eq!(found, n);
        }
    };

    // Without replicas, the primaries serve.
    rig.cluster.kill(rig.cluster.replicas_of(0).start);
    read_all().await;
    rig.cluster.freeze(rig.cluster.replicas_of(1).start);
    read_all().await;
    let without = reads.clone().without_primary();
    let is_refused = || reads.status().iter().filter(|one| serves(one)).count() == 1;
    eventually_async(SOON, "two do not serve", is_refused).await;
    let error = without.query::<usize>(cmd("GET").arg(&keys[0])).await;
    let error = error.expect_err("its replica is dead");
    assert!(matches!(error, Error::NoReplica { .. }), "{error}");
    rig.cluster.thaw(rig.cluster.replicas_of(1).start);
    until_serve(&reads, 2).await;

    // Without a primary, its replica serves until it is one, and then its successor does.
    block_in_place(|| rig.cluster.kill_in_step(1));
    read_all().await;
    block_in_place(|| rig.cluster.await_promotion(1));
    read_all().await;
    rig.cluster.restart(1);
    // The old primary is the replica now.
    let replica = rig.cluster.node(1).port();
    let address = format!("127.0.0.1:{replica}");
    let is_replica = || {
        let status = reads.status();
        status
            .iter()
            .any(|one| *one.address == *address && serves(one))
    };
    eventually_async(SOON, "the old primary is a replica", is_replica).await;
    let before = rig.cluster.node(1).commandstat("get");
    read_all().await;
    assert_eq!(rig.cluster.node(1).commandstat("get"), before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_236_keys_that_move_are_not_missing() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(3, 1).await;
    let keys: Vec<_> = (0..10).map(|n| format!("{{foo}}:{n}")).collect();
    fill(&rig, &keys).await;
    let slot = rig.cluster.slot_of("foo");
    let from = block_in_place(|| rig.cluster.primary_of(slot));
    let to = (from + 1) % 3;
    let reads = rig.main.replica();
    until_serve(&reads, 3).await;
    let recent = reads.clone().max_staleness(SOON);
    let read_all = async |reads: &Replica| {
        for (n, key) in keys.iter().enumerate() {
            let found: Option<usize> = reads.query(cmd("GET").arg(key)).await.expect("GET");
            assert_eq!(found, Some(n));
        }
        let mut pipeline = pipe();
        for key in &keys {
            pipeline.get(key);
        }
        let found: Vec<Option<usize>> = reads.pipeline(&pipeline).await.expect("a pipeline");
        assert!(found.into_iter().eq((0..10).map(Some)));
    };
    block_in_place(|| {
        rig.cluster.begin_migration(slot, from, to);
        for key in &keys[5..] {
            let port = rig.cluster.node(to).port().to_string();
            let moved = ["MIGRATE", "127.0.0.1", &port, key, "0", "10000"];
            assert_eq!(rig.cluster.node(from).cli(&moved), "OK");
        }
        rig.cluster.until_replicated(from);
    });
    read_all(&recent).await;
    // A replica would find one of them.
    let mut both = cmd("EXISTS");
    both.arg(&keys[0]).arg(&keys[9]);
    let ttl: i64 = recent.query(cmd("TTL").arg(&keys[9])).await.expect("TTL");
    assert_eq!(ttl, -1, "it is there");
    let mut transaction = pipe();
    transaction.atomic().exists(&keys[9]).get(&keys[9]);
    let found: (bool, usize) = recent.pipeline(&transaction).await.expect("moved");
    assert_eq!(found, (true, 9));
    let short = recent.clone().with_timeout(Duration::from_millis(500));
    let error = short.query::<usize>(&both).await.expect_err("at two nodes");
    let is_waiting = match &error {
        Error::Server { code, .. } => **code == *"TRYAGAIN",
        error => matches!(error, Error::TimedOut { .. }),
    };
    assert!(is_waiting, "{error}");
    block_in_place(|| {
        rig.cluster.move_keys(slot, from, to);
        rig.cluster.end_migration(slot, from, to);
        rig.cluster.until_settled();
        rig.cluster.until_replicated(to);
    });
    // A replica that has lost a slot says where it is, also where nobody else tells of the move.
    read_all(&reads.clone().without_primary()).await;
    read_all(&reads).await;
    read_all(&recent).await;
    let before = calls(&rig.cluster, "get");
    read_all(&reads).await;
    let after = calls(&rig.cluster, "get");
    assert_eq!((after.0 - before.0, after.1 - before.1), (0, 20));
}
