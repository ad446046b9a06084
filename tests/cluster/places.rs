//! Nodes that are reached at other addresses than they tell, and links to them that fail.

use std::time::Duration;

use redis::cmd;
use redis_steward::{HealthState, Reason};
use tokio::task::block_in_place;

use super::key_of;
use crate::common::{
    FaultProxy, Mode, cluster::Cluster, eventually_async, left_out_on_embedded, steward::spawn,
};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_behind_port_forwarding_are_reached_through_it() {
    if left_out_on_embedded() {
        return;
    }
    let mut cluster = Cluster::start(2, 0);
    let added = block_in_place(|| cluster.add_primary());
    let (proxies, main) = cluster.behind_proxies();
    let (supervisor, main) = spawn(main).await;
    for n in 0..30 {
        let set = cmd("SET").arg(format!("key:{n}")).arg(n).take();
        main.query::<()>(set).await.expect("SET");
    }
    // A node without slots is found by a redirect, which has to be mapped as well.
    let slot = cluster.slot_of("key:7");
    block_in_place(|| {
        let from = cluster.primary_of(slot);
        cluster.begin_migration(slot, from, added);
        cluster.move_keys(slot, from, added);
    });
    let get = || main.query::<i64>(cmd("GET").arg("key:7").take());
    assert_eq!(get().await.expect("by ASK"), 7);
    block_in_place(|| cluster.end_migration(slot, 0, added));
    assert_eq!(get().await.expect("by MOVED"), 7);
    let nodes = supervisor.statistics().databases;
    for name in nodes.keys().filter(|name| *name != "main") {
        let is_proxy = |proxy: &FaultProxy| *name == format!("main (localhost:{})", proxy.port());
        assert!(proxies.iter().any(is_proxy), "{name}");
    }
    assert_eq!(nodes.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_231_a_node_behind_a_black_hole_concerns_its_slots_alone() {
    if left_out_on_embedded() {
        return;
    }
    let cluster = Cluster::start(3, 0);
    let keys: Vec<_> = (0..3).map(|node| key_of(&cluster, node)).collect();
    let (proxies, main) = cluster.behind_proxies();
    let main = main
        .attempt_timeout(Duration::from_millis(300))
        .command_timeout(Duration::from_millis(600))
        .connect_timeout(Duration::from_millis(500));
    let (_supervisor, main) = spawn(main).await;
    let incr = |key: &str| main.query::<i64>(cmd("INCR").arg(key).take());
    for key in &keys {
        incr(key).await.expect("all is well");
    }
    proxies[1].set(Mode::BlackHole);
    let is_degraded = || {
        let reason = Reason::ShardDown;
        main.state() == HealthState::Degraded { reason }
    };
    let calling = async {
        while !is_degraded() {
            let _ = incr(&keys[1]).await;
            incr(&keys[0]).await.expect("another node");
            incr(&keys[2]).await.expect("another node");
        }
    };
    tokio::time::timeout(SOON, calling)
        .await
        .expect("it is noticed");
    proxies[1].heal();
    eventually_async(SOON, "healthy", || main.state() == HealthState::Healthy).await;
    incr(&keys[1]).await.expect("it is back");
}
