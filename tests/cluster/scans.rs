//! Scans of all keys.

use std::{collections::BTreeSet, pin::pin};

use futures_util::TryStreamExt as _;
use redis::{cmd, pipe};
use redis_steward::ScanCursor;
use tokio::task::block_in_place;

use super::Rig;
use crate::common::{left_out_on_embedded, steward};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_keys_come_while_slots_move() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(3, 0).await;
    let mut fill = pipe();
    for n in 0..1_000 {
        fill.set(format!("key:{n}"), n).ignore();
    }
    fill.hset("hash", "field", 1).ignore();
    rig.main.pipeline::<()>(&fill).await.expect("filled");
    let mut scan = rig
        .main
        .scan()
        .matching("key:*")
        .of_type("string")
        .batch(50);
    let mut seen = BTreeSet::new();
    let mut turn = 0_u16;
    while let Some(keys) = scan.next().await.expect("a batch") {
        seen.extend(keys);
        // Slots go from where the scan is to where it was, and the reverse.
        let moves = [(turn, 0, 1), (6_000 + turn, 1, 2), (12_000 + turn, 2, 0)];
        let (slot, from, to) = moves[usize::from(turn % 3)];
        if turn < 20 {
            block_in_place(|| {
                rig.cluster.migrate_slot(slot, from, to);
                rig.cluster.until_settled();
            });
        }
        turn += 1;
        if turn == 5 {
            // Another process goes on.
            let kept = scan.cursor().to_string();
            let cursor: ScanCursor = kept.parse().expect("a cursor");
            scan = rig.main.scan().matching("key:*").batch(500).from(cursor);
        }
    }
    assert_eq!(seen.len(), 1_000);
}

#[tokio::test]
async fn one_server_is_scanned_in_the_same_way() {
    if left_out_on_embedded() {
        return;
    }
    let rig = steward::Rig::start().await;
    for n in 0..100 {
        let set = cmd("SET").arg(format!("key:{n}")).arg(n).take();
        rig.main.query::<()>(set).await.expect("SET");
    }
    let mut keys = pin!(rig.main.scan().batch(7).keys());
    let mut seen = BTreeSet::new();
    while let Some(key) = keys.try_next().await.expect("a key") {
        seen.insert(key);
    }
    assert_eq!(seen.len(), 100);
}
