//! Goal: reads of a cluster go to the nearest server of their keys, the primary included, and to the preferred availability
//! zone. Method: a proxy before each node delays the replies of some; Valkey tells zones itself.

use std::time::Duration;

use redis::{cmd, pipe};
use redis_steward::{Database, Replica};
use tokio::{task::block_in_place, time::timeout};

use super::{
    Rig, key_of,
    replicas::{SOON, calls, fill, until_serve},
};
use crate::common::{FaultProxy, Mode, cluster::Cluster, left_out_on_embedded, skip_notice, spawn};

/// Longer than round trips within this machine, also if it is busy.
const FAR: Duration = Duration::from_millis(200);

/// A cluster of three primaries with a replica each, whose replies are delayed.
async fn with_far_replicas() -> (Rig, Vec<FaultProxy>) {
    let cluster = block_in_place(|| Cluster::start(3, 1));
    let (proxies, main) = cluster.behind_proxies();
    for proxy in &proxies[3..] {
        proxy.set(Mode::Delay {
            requests: Duration::ZERO,
            replies: FAR,
        });
    }
    let main = main.attempt_timeout(Duration::from_millis(500));
    let (supervisor, main) = spawn(main).await;
    let rig = Rig {
        cluster,
        supervisor,
        main,
    };
    (rig, proxies)
}

/// Each value is the number of its key.
async fn read_all(reads: &Replica, keys: &[String]) {
    let numbers = 0..keys.len();
    for (n, key) in keys.iter().enumerate() {
        let found: usize = reads.query(cmd("GET").arg(key)).await.expect("GET");
        assert_eq!(found, n);
    }
    let mut pipeline = pipe();
    for key in keys {
        pipeline.get(key);
    }
    let found: Vec<usize> = reads.pipeline(&pipeline).await.expect("a pipeline");
    assert!(found.into_iter().eq(numbers.clone()));
    let found: Vec<usize> = reads.query(cmd("MGET").arg(keys)).await.expect("MGET");
    assert!(found.into_iter().eq(numbers));
}

/// Waits until of the calls of GET that `read_all` makes the primaries serve all, or the replicas.
async fn until_served(rig: &Rig, reads: &Replica, keys: &[String], by_primaries: bool) {
    let gets = || block_in_place(|| calls(&rig.cluster, "get"));
    let served = async {
        loop {
            let before = gets();
            read_all(reads, keys).await;
            let after = gets();
            let served = (after.0 - before.0, after.1 - before.1);
            let all = 2 * keys.len() as u64;
            if served == if by_primaries { (all, 0) } else { (0, all) } {
                return;
            }
        }
    };
    let in_time = timeout(SOON, served).await;
    in_time.expect("the nearest serve");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn primaries_serve_if_they_are_the_nearest() {
    if left_out_on_embedded() {
        return;
    }
    let (rig, proxies) = with_far_replicas().await;
    let keys: Vec<_> = (0..10).map(|n| format!("key:{n}")).collect();
    fill(&rig, &keys).await;
    let reads = rig.main.replica();
    until_serve(&reads, 3).await;
    let nearest = reads.clone().nearest();
    until_served(&rig, &nearest, &keys, true).await;
    until_served(&rig, &reads, &keys, false).await;
    until_served(&rig, &nearest.clone().without_primary(), &keys, false).await;
    let recent = nearest.clone().max_staleness(Duration::ZERO);
    until_served(&rig, &recent, &keys, true).await;
    // What concerns all nodes, and what goes together.
    let others = async |reads: &Replica| {
        let before = block_in_place(|| ["dbsize", "exists"].map(|one| calls(&rig.cluster, one).0));
        let size: usize = reads.query(cmd("DBSIZE")).await.expect("DBSIZE");
        assert_eq!(size, 10);
        let mut transaction = pipe();
        transaction.atomic().exists(&keys[0]).exists(&keys[0]);
        let found: (bool, bool) = reads.pipeline(&transaction).await.expect("one slot");
        assert_eq!(found, (true, true));
        let after = block_in_place(|| ["dbsize", "exists"].map(|one| calls(&rig.cluster, one).0));
        [after[0] - before[0], after[1] - before[1]]
    };
    assert_eq!(others(&nearest).await, [3, 2]);
    assert_eq!(others(&reads).await, [0, 0]);
    drop(proxies);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_265_reads_go_on_when_the_nearest_node_freezes_and_dies() {
    if left_out_on_embedded() {
        return;
    }
    let (rig, proxies) = with_far_replicas().await;
    let keys: Vec<_> = (0..3).map(|node| key_of(&rig.cluster, node)).collect();
    fill(&rig, &keys).await;
    // A replica refuses reads as well from the moment when its primary is known to be dead until it is promoted.
    let nearest = rig.main.replica().nearest().patient();
    until_serve(&nearest, 3).await;
    until_served(&rig, &nearest, &keys, true).await;
    let failing: [fn(&Cluster, usize); 2] = [Cluster::freeze_in_step, Cluster::kill_in_step];
    for (node, fail) in failing.into_iter().enumerate() {
        block_in_place(|| fail(&rig.cluster, node));
        // At first its replica serves, and then the same one as the primary.
        read_all(&nearest, &keys).await;
        block_in_place(|| rig.cluster.await_promotion(node));
        read_all(&nearest, &keys).await;
    }
    drop(proxies);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_the_zone_serve_before_others() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(2, 2).await;
    let told = block_in_place(|| rig.cluster.node(0).info("server"));
    if !told.contains_key("availability_zone") {
        skip_notice("the server tells no availability zone");
        return;
    }
    // The first replica of each primary is in one zone, and the primary with the second in another.
    block_in_place(|| {
        for node in 0..rig.cluster.len() {
            let zone = if [2, 4].contains(&node) { "a" } else { "b" };
            let set = ["CONFIG", "SET", "availability-zone", zone];
            assert_eq!(rig.cluster.node(node).cli(&set), "OK");
        }
    });
    let keys: Vec<_> = (0..10).map(|n| format!("key:{n}")).collect();
    fill(&rig, &keys).await;
    let main: &Database = &rig.main;
    let reads = main.replica();
    until_serve(&reads, 4).await;
    let served = async |reads: &Replica, nodes: &[usize]| {
        let gets = || {
            let of = |node: &usize| rig.cluster.node(*node).commandstat("get");
            nodes.iter().map(of).sum::<u64>()
        };
        let before = block_in_place(gets);
        read_all(reads, &keys).await;
        block_in_place(gets) - before
    };
    let here = reads.clone().availability_zone("a");
    assert_eq!(served(&here, &[2, 4]).await, 20);
    assert_eq!(served(&here.nearest(), &[2, 4]).await, 20);
    let there = reads.clone().availability_zone("b");
    assert_eq!(served(&there, &[3, 5]).await, 20, "the primary is the last");
    assert_eq!(served(&there.nearest(), &[0, 1, 3, 5]).await, 20);
    let nowhere = reads.availability_zone("c");
    assert_eq!(served(&nowhere, &[2, 3, 4, 5]).await, 20);
}
