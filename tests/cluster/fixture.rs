//! Goal: the fixture does what the tests of clusters take for granted. Method: it is asked for everything that it can do,
//! and the servers tell whether it was done.

use crate::common::{Cluster, left_out_on_embedded};

const SLOT: u16 = 12_182;

/// A key of [`SLOT`].
fn key(number: usize) -> String {
    format!("{{foo}}:{number}")
}

#[test]
fn a_cluster_is_complete_and_its_slots_move_with_their_keys() {
    if left_out_on_embedded() {
        return;
    }
    let mut cluster = Cluster::builder(2, 0).requirepass("p").start();
    assert_eq!(cluster.primary_of(0), 0);
    assert_eq!(cluster.primary_of(SLOT), 1);
    for number in 0..250 {
        assert_eq!(cluster.node(1).cli(&["SET", &key(number), "v"]), "OK");
    }

    cluster.begin_migration(SLOT, 1, 0);
    assert!(
        cluster
            .node(1)
            .cli(&["GET", "{foo}none"])
            .starts_with("ASK 12182 ")
    );
    cluster.move_keys(SLOT, 1, 0);
    assert!(
        cluster
            .node(1)
            .cli(&["GET", &key(249)])
            .starts_with("ASK 12182 ")
    );
    cluster.end_migration(SLOT, 1, 0);
    assert!(
        cluster
            .node(1)
            .cli(&["GET", &key(249)])
            .starts_with("MOVED 12182 ")
    );
    assert_eq!(cluster.node(0).cli(&["GET", &key(249)]), "v");
    cluster.until_settled();
    assert_eq!(cluster.primary_of(SLOT), 0);

    let added = cluster.add_primary();
    cluster.migrate_slot(SLOT, 0, added);
    cluster.until_settled();
    assert_eq!(cluster.node(added).cli(&["GET", &key(0)]), "v");
    cluster.migrate_slot(SLOT, added, 1);
    cluster.until_settled();
    cluster.remove(added);
    cluster.until_settled();
    assert_eq!(cluster.node(1).cli(&["GET", &key(0)]), "v");
    assert!(cluster.url().starts_with("redis+cluster://:p@127.0.0.1:"));
}

#[test]
fn replicas_are_promoted_by_themselves_and_by_hand() {
    if left_out_on_embedded() {
        return;
    }
    let cluster = Cluster::start(3, 1);
    assert_eq!(cluster.len(), 6);
    let [lost, replica] = [0, 3];
    assert_eq!(cluster.replicas_of(lost), replica..replica + 1);
    cluster.kill(lost);
    assert_eq!(cluster.await_promotion(lost), replica);
    cluster.until_settled();
    assert_eq!(cluster.primary_of(0), replica);

    cluster.restart(lost);
    cluster.until_settled();
    assert!(cluster.node(lost).info("replication")["role"] == "slave");
    cluster.failover_by_hand(lost);
    assert_eq!(cluster.primary_of(0), lost);
    cluster.until_settled();

    cluster.freeze(1);
    assert_eq!(cluster.await_promotion(1), 4);
    cluster.thaw(1);
    cluster.until_settled();
    assert_eq!(cluster.primary_of(SLOT), 2);
    assert_eq!(cluster.at_port(cluster.node(5).port()), 5);
}
