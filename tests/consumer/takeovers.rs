//! Entries of other consumers, and of earlier ones of the same name.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use redis::Value;
use redis_steward::StreamEntry;
use tokio::time::sleep;

use crate::{
    common::{Rig, eventually_async, words},
    record::{Record, SOON, add, assert_done, lacks_claims, many, pending, quick},
};

/// Has a consumer of this name read entries, and nothing more.
async fn read_as(rig: &Rig, name: &str, count: usize) {
    let read = format!("XREADGROUP GROUP billing {name} COUNT {count} STREAMS orders >");
    rig.main
        .query::<Value>(words(&read))
        .await
        .expect("entries");
}

async fn with_entries(count: u64) -> Rig {
    let rig = Rig::start().await;
    let create = words("XGROUP CREATE orders billing 0 MKSTREAM");
    rig.main.query::<()>(create).await.expect("a group");
    add(&rig.main, 0..count).await;
    rig
}

#[tokio::test]
async fn a_consumer_begins_with_its_own_pending_entries() {
    if lacks_claims() {
        return;
    }
    let rig = with_entries(50).await;
    read_as(&rig, "me", 20).await;
    let record = Record::default();
    let noted = record.clone();
    let consumer = quick(&rig.main)
        .name("me")
        .claim_idle(SOON)
        .concurrency(many(1))
        .batch(many(7))
        .run(move |entry: StreamEntry| {
            noted.note(&entry);
            async move {
                let is_own = crate::record::number(&entry) < 20;
                assert_eq!(entry.deliveries(), 1 + u64::from(is_own));
                Ok::<_, Infallible>(())
            }
        });
    let is_done = || consumer.statistics().acknowledged == 50;
    eventually_async(SOON, "all are acknowledged", is_done).await;
    assert!((0..50).eq(record.numbers()), "in order, and once");
    let statistics = consumer.stop(SOON).await.expect("a consumer that runs");
    assert_eq!((statistics.claimed, statistics.read), (20, 30));
    assert_done(&rig).await;
    rig.end().await;
}

#[tokio::test]
async fn row_182_entries_of_a_dead_consumer_are_taken_over() {
    if lacks_claims() {
        return;
    }
    let rig = with_entries(200).await;
    let died = Instant::now();
    read_as(&rig, "dead", 150).await;
    const IDLE: Duration = Duration::from_millis(1_500);
    let record = Record::default();
    let consumers: Vec<_> = (0..2)
        .map(|_| {
            let noted = record.clone();
            quick(&rig.main)
                .claim_idle(IDLE)
                .run(move |entry: StreamEntry| {
                    noted.note(&entry);
                    async { Ok::<_, Infallible>(()) }
                })
        })
        .collect();
    let is_done = || {
        let of = consumers.iter().map(|one| one.statistics().acknowledged);
        of.sum::<u64>() == 200
    };
    eventually_async(SOON, "all are acknowledged", is_done).await;
    assert!(died.elapsed() >= IDLE);
    assert_eq!(record.times().len(), 200);
    assert_eq!(record.len(), 200, "each once");
    let claimed = consumers.iter().map(|one| one.statistics().claimed);
    assert_eq!(claimed.sum::<u64>(), 150);
    for consumer in consumers {
        consumer.stop(SOON).await.expect("a consumer that runs");
    }
    assert_eq!(pending(&rig.main).await, 0);
    rig.end().await;
}

/// Handlers, and entries that wait for their turn, take longer than the time after which others take entries over.
#[tokio::test]
async fn row_182_no_entry_is_taken_over_while_its_handler_runs() {
    if lacks_claims() {
        return;
    }
    const IDLE: Duration = Duration::from_millis(2_500);
    let rig = with_entries(6).await;
    let record = Record::default();
    let consumers: Vec<_> = (0..2)
        .map(|_| {
            let noted = record.clone();
            quick(&rig.main)
                .claim_idle(IDLE)
                .concurrency(many(2))
                .batch(many(3))
                .run(move |entry: StreamEntry| {
                    noted.note(&entry);
                    async move {
                        sleep(IDLE + IDLE / 5).await;
                        Ok::<_, Infallible>(())
                    }
                })
        })
        .collect();
    let is_done = || {
        let of = consumers.iter().map(|one| one.statistics().acknowledged);
        of.sum::<u64>() == 6
    };
    eventually_async(SOON, "all are acknowledged", is_done).await;
    assert_eq!(record.len(), 6, "each once: {:?}", record.times());
    for consumer in consumers {
        let statistics = consumer.stop(SOON).await.expect("a consumer that runs");
        assert_eq!(statistics.claimed, 0);
    }
    assert_done(&rig).await;
    rig.end().await;
}
