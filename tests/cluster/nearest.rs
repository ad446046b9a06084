//! Goal: reads of a cluster go to the nearest server of their keys, the primary included. Method: a proxy before each node
//! delays the replies of some.

use std::time::Duration;

use redis::{cmd, pipe};
use redis_steward::Replica;
use tokio::{task::block_in_place, time::timeout};

use super::{
    Rig, key_of,
    places::behind,
    replicas::{SOON, calls, fill, until_serve},
};
use crate::common::{FaultProxy, Mode, cluster::Cluster, left_out_on_embedded, spawn};

/// Longer than round trips within this machine, also if it is busy.
const FAR: Duration = Duration::from_millis(200);

/// A cluster of three primaries with a replica each, whose replies are delayed.
async fn with_far_replicas() -> (Rig, Vec<FaultProxy>) {
    let cluster = block_in_place(|| Cluster::start(3, 1));
    let (proxies, main) = behind(&cluster);
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
    let nearest = rig.main.replica().nearest();
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
