//! Sharded channels: heard at the nodes of their slots, wherever these are by then.

use std::{collections::BTreeSet, time::Duration};

use redis::cmd;
use redis_steward::{GapCause, PubSubEvent, Subscription};
use tokio::{task::block_in_place, time::timeout};

use super::Rig;
use crate::common::{cluster::Cluster, left_out_on_embedded, version::version};

const SOON: Duration = Duration::from_secs(30);

async fn event(subscription: &mut Subscription) -> PubSubEvent {
    let next = timeout(SOON, subscription.next()).await;
    next.expect("an event").expect("the subscription goes on")
}

async fn message(subscription: &mut Subscription) -> (String, String) {
    match event(subscription).await {
        PubSubEvent::Message {
            channel, payload, ..
        } => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (text(&channel), text(&payload))
        }
        other => panic!("{other:?}"),
    }
}

/// The events up to the gap that covers a move.
async fn until_gap(subscription: &mut Subscription) {
    loop {
        match event(subscription).await {
            PubSubEvent::Gap { .. } => return,
            PubSubEvent::Interrupted { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn publish(rig: &Rig, channel: &str, payload: &str) {
    let publish = cmd("SPUBLISH").arg(channel).arg(payload).take();
    let receivers: i64 = rig.main.query(publish).await.expect("SPUBLISH");
    assert_eq!(receivers, 1, "{channel} {payload}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_232_sharded_channels_follow_their_slots() {
    if left_out_on_embedded() {
        return;
    }
    // There are no sharded channels before.
    if version() < (7, 0) {
        return;
    }
    let rig = Rig::start(3, 0).await;
    let channels: Vec<_> = (0..12).map(|n| format!("channel:{n}")).collect();
    let mut heard = rig.main.ssubscribe(&channels).await.expect("subscribed");
    let mut told = BTreeSet::new();
    for channel in &channels {
        publish(&rig, channel, "one").await;
        told.insert(message(&mut heard).await.0);
    }
    assert_eq!(told.len(), 12);

    let (moved, slot) = (&channels[0], rig.cluster.slot_of(&channels[0]));
    for _ in 0..3 {
        block_in_place(|| {
            let from = rig.cluster.primary_of(slot);
            rig.cluster.migrate_slot(slot, from, (from + 1) % 3);
            rig.cluster.until_settled();
        });
        until_gap(&mut heard).await;
        publish(&rig, moved, "two").await;
        let expected = (moved.clone(), "two".to_owned());
        let mut next = event(&mut heard).await;
        // The server may tell of the move more than once.
        while matches!(
            next,
            PubSubEvent::Gap { .. } | PubSubEvent::Interrupted { .. }
        ) {
            next = event(&mut heard).await;
        }
        let PubSubEvent::Message { channel, .. } = next else {
            panic!("{next:?}");
        };
        assert_eq!(channel, expected.0);
        // The others were not disturbed.
        publish(&rig, &channels[1], "three").await;
        assert_eq!(message(&mut heard).await.0, channels[1]);
    }
    heard.sunsubscribe([moved]);
    let publish_unheard = cmd("SPUBLISH").arg(moved).arg("four").take();
    let is_left = || async {
        let receivers = rig.main.query::<i64>(&publish_unheard).await;
        receivers.is_ok_and(|receivers| receivers == 0)
    };
    crate::common::eventually_asked(SOON, "nobody listens", is_left).await;
    publish(&rig, &channels[1], "five").await;
    assert_eq!(message(&mut heard).await.1, "five");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_233_sharded_channels_survive_the_death_of_their_node() {
    if left_out_on_embedded() {
        return;
    }
    // There are no sharded channels before.
    if version() < (7, 0) {
        return;
    }
    let cluster = Cluster::builder(3, 1);
    let cluster = cluster.arg("cluster-require-full-coverage", "no").start();
    let rig = Rig::with(cluster, |main| main).await;
    let channel = super::key_of(&rig.cluster, 0);
    let mut heard = rig.main.ssubscribe([&channel]).await.expect("subscribed");
    publish(&rig, &channel, "one").await;
    assert_eq!(message(&mut heard).await.1, "one");
    block_in_place(|| {
        rig.cluster.kill(0);
        rig.cluster.await_promotion(0);
    });
    until_gap(&mut heard).await;
    publish(&rig, &channel, "two").await;
    assert_eq!(message(&mut heard).await.1, "two");
}

async fn set_all(rig: &Rig, keys: &[String]) {
    for key in keys {
        let set = cmd("SET").arg(key).arg("value").take();
        let patient = rig.main.patient().with_timeout(SOON);
        patient.query::<()>(set).await.expect("SET");
    }
}

async fn hears_all(subscription: &mut Subscription, keys: &[String]) {
    let mut heard = BTreeSet::new();
    while heard.len() < keys.len() {
        match event(subscription).await {
            PubSubEvent::Message { channel, .. } => {
                let key = channel.strip_prefix(b"__keyspace@0__:").expect("a change");
                let key = String::from_utf8_lossy(key).into_owned();
                assert!(heard.insert(key), "told once");
            }
            // Of the node that has died.
            PubSubEvent::Interrupted { .. } | PubSubEvent::Gap { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(keys.iter().all(|key| heard.contains(key)), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_237_changes_of_keys_are_heard_from_every_primary() {
    if left_out_on_embedded() {
        return;
    }
    let cluster = Cluster::builder(3, 1)
        .arg("notify-keyspace-events", "KEA")
        .arg("cluster-require-full-coverage", "no");
    let mut rig = Rig::with(cluster.start(), |main| main).await;
    let keys: Vec<_> = (0..30).map(|n| format!("key:{n}")).collect();
    let changes = rig.main.psubscribe(["__keyspace@0__:key:*"]);
    let mut changes = changes.await.expect("all nodes have confirmed");
    set_all(&rig, &keys).await;
    hears_all(&mut changes, &keys).await;

    // Another primary.
    block_in_place(|| rig.cluster.kill_in_step(0));
    block_in_place(|| rig.cluster.await_promotion(0));
    until_told(&mut changes).await;
    set_all(&rig, &keys).await;
    hears_all(&mut changes, &keys).await;

    // One more.
    let slot = rig.cluster.slot_of(&keys[0]);
    block_in_place(|| {
        let added = rig.cluster.add_primary();
        let from = rig.cluster.primary_of(slot);
        rig.cluster.migrate_slot(slot, from, added);
        rig.cluster.until_settled();
    });
    // A call finds that the slot has moved.
    set_all(&rig, &keys[..1]).await;
    // What is added before anything is read hides no gap.
    let expired = ["__keyevent@0__:expired", "orders"];
    changes.subscribe(expired).await.expect("added");
    until_told(&mut changes).await;
    set_all(&rig, &keys).await;
    hears_all(&mut changes, &keys).await;

    changes
        .subscribe(["__keyevent@0__:del"])
        .await
        .expect("added");
    changes.punsubscribe(["__keyspace@0__:key:*"]);
    set_all(&rig, &keys).await;
    rig.main
        .query::<i64>(cmd("DEL").arg(&keys))
        .await
        .expect("DEL");
    let mut deleted = BTreeSet::new();
    while deleted.len() < keys.len() {
        let (channel, key) = message(&mut changes).await;
        assert_eq!(channel, "__keyevent@0__:del");
        assert!(deleted.insert(key));
    }
}

/// Skips what was heard before the gap, and the gap. Parts of it may be told of each node.
async fn until_told(subscription: &mut Subscription) {
    loop {
        if let PubSubEvent::Gap {
            cause: GapCause::Moved,
            ..
        } = event(subscription).await
        {
            return;
        }
    }
}
