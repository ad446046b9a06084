//! Faults of a cluster, and what its operators do to it.

use std::{thread, time::Duration};

use fastrand::Rng;

use crate::common::{Cluster, eventually};

const SOON: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ClusterFault {
    /// Slots go to another primary. On their way their keys are at two nodes.
    Reshard,
    /// A replica is promoted by hand.
    Promote,
    /// A primary dies, its replica takes over, and it comes back as a replica.
    Kill,
    /// A primary dies, and is restarted before its replica may take over.
    Restart,
    /// A primary is silent until its replica has taken over.
    Freeze,
    /// A primary is silent, and its replica does not take over.
    Stall,
    /// A replica dies and comes back.
    KillReplica,
    /// A node ends all connections of clients.
    Disconnect,
}

impl ClusterFault {
    pub(super) const ALL: [Self; 8] = [
        Self::Reshard,
        Self::Promote,
        Self::Kill,
        Self::Restart,
        Self::Freeze,
        Self::Stall,
        Self::KillReplica,
        Self::Disconnect,
    ];

    /// Injects the fault, and waits until the nodes agree again. `is_node` tells whether the supervisor takes the server at
    /// this port for a primary.
    pub(super) fn strike(self, cluster: &Cluster, is_node: impl Fn(u16) -> bool, random: &mut Rng) {
        let lasts = Duration::from_millis(random.u64(20..2_500));
        let mut primaries = cluster.primaries_now();
        random.shuffle(&mut primaries);
        let [primary, other, ..] = primaries[..] else {
            panic!("a settled cluster has several primaries, and not {primaries:?}");
        };
        match self {
            Self::Reshard => reshard(cluster, primary, other, lasts, random),
            Self::Promote => {
                cluster.failover_by_hand(replica(cluster, primary));
            }
            Self::Kill => {
                hold_and_permit_takeover(cluster, primary);
                cluster.kill(primary);
                let promoted = cluster.await_promotion(primary);
                permit_takeover(cluster, promoted, false);
                cluster.restart(primary);
            }
            Self::Restart => {
                cluster.kill(primary);
                thread::sleep(lasts);
                cluster.restart(primary);
            }
            Self::Freeze => {
                hold_and_permit_takeover(cluster, primary);
                cluster.freeze(primary);
                let promoted = cluster.await_promotion(primary);
                permit_takeover(cluster, promoted, false);
                // Before it has heard of its successor it would take writes, and lose them.
                let port = cluster.node(primary).port();
                eventually(SOON, "the successor is found", || !is_node(port));
                cluster.thaw(primary);
                cluster.node(primary).cli(&["CLIENT", "UNPAUSE"]);
            }
            Self::Stall => {
                cluster.freeze(primary);
                thread::sleep(lasts);
                cluster.thaw(primary);
            }
            Self::KillReplica => {
                let replica = replica(cluster, primary);
                cluster.kill(replica);
                thread::sleep(lasts);
                cluster.restart(replica);
            }
            Self::Disconnect => {
                for kind in ["normal", "pubsub"] {
                    let killing = ["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"];
                    cluster.node(primary).cli(&killing);
                }
            }
        }
        cluster.until_settled();
        cluster.until_saved();
    }
}

fn replica(cluster: &Cluster, primary: usize) -> usize {
    let replica = cluster.replica_now(primary);
    replica.expect("each primary of a settled cluster has a replica")
}

/// The replica of a primary has all that it has answered, and may take its place.
fn hold_and_permit_takeover(cluster: &Cluster, primary: usize) {
    // In this order: a replica that takes a living primary for dead must not do so before it has all.
    cluster.hold_writes(primary);
    permit_takeover(cluster, replica(cluster, primary), true);
}

/// Without it a replica is promoted by hand alone. On a busy machine it could otherwise take a living primary for dead, and
/// what that has acknowledged meanwhile would be lost.
fn permit_takeover(cluster: &Cluster, replica: usize, is_permitted: bool) {
    let refuses = if is_permitted { "no" } else { "yes" };
    let order = ["CONFIG", "SET", "cluster-replica-no-failover", refuses];
    assert_eq!(cluster.node(replica).cli(&order), "OK");
}

/// Moves up to three slots with keys, and leaves them half-way for a while.
fn reshard(cluster: &Cluster, from: usize, to: usize, lasts: Duration, random: &mut Rng) {
    let mut slots: Vec<_> = (0..random.u8(1..=3))
        .map(|_| cluster.node(from).cli(&["RANDOMKEY"]))
        .map(|key| cluster.slot_of(&key))
        // At the start there may be no key yet.
        .filter(|slot| cluster.primary_of(*slot) == from)
        .collect();
    slots.sort_unstable();
    slots.dedup();
    for slot in &slots {
        cluster.begin_migration(*slot, from, to);
    }
    thread::sleep(lasts / 2);
    for slot in &slots {
        cluster.move_keys(*slot, from, to);
    }
    thread::sleep(lasts / 2);
    for slot in &slots {
        cluster.move_keys(*slot, from, to);
        cluster.end_migration(*slot, from, to);
    }
}
