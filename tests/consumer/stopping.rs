//! The end of a consumer.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use redis::Value;
use redis_steward::StreamEntry;
use tokio::sync::Semaphore;

use crate::{
    common::{Rig, eventually_asked, eventually_async, words},
    record::{Record, SOON, STREAM, add, assert_done, lacks_claims, many, number, pending, quick},
};

/// A gate that handlers wait at.
fn gate() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0))
}

#[tokio::test]
async fn a_stop_lets_handlers_finish_and_gives_the_others_back() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    add(&rig.main, 0..10).await;
    let (gate, record) = (gate(), Record::default());
    let waits = (gate.clone(), record.clone());
    let first = quick(&rig.main)
        .name("first")
        .claim_idle(SOON)
        .concurrency(many(4))
        .batch(many(10))
        .run(move |entry: StreamEntry| {
            let (gate, record) = waits.clone();
            async move {
                gate.acquire().await.expect("an open gate").forget();
                record.note(&entry);
                Ok::<_, Infallible>(())
            }
        });
    let all_run = || first.statistics().in_progress == 4 && first.statistics().held == 10;
    eventually_async(SOON, "four run, and six wait", all_run).await;
    let stopping = tokio::spawn(first.stop(SOON));
    let idle = words("XPENDING orders billing IDLE 60000 - + 20");
    eventually_asked(SOON, "six are given back", async || {
        let idle = rig.main.query::<Vec<Value>>(&idle).await;
        idle.expect("a list").len() == 6
    })
    .await;
    add(&rig.main, [10]).await;
    // Another consumer gets them at once, although they are to be idle for a minute.
    let noted = record.clone();
    let second = quick(&rig.main)
        .name("second")
        .claim_idle(SOON)
        .run(move |entry: StreamEntry| {
            noted.note(&entry);
            async move {
                assert_eq!(entry.deliveries(), 1);
                Ok::<_, Infallible>(())
            }
        });
    let is_done = || second.statistics().acknowledged == 7;
    eventually_async(SOON, "six and a new one", is_done).await;
    assert_eq!(pending(&rig.main).await, 4);
    gate.add_permits(4);
    let statistics = stopping.await.expect("a task").expect("a good end");
    assert_eq!((statistics.acknowledged, statistics.held), (4, 0));
    assert!((0..11).eq(record.times().into_keys()), "all are handled");
    assert_eq!(record.len(), 11, "each once");
    second.stop(SOON).await.expect("a consumer that runs");
    assert_done(&rig).await;
    rig.end().await;
}

#[tokio::test]
async fn at_the_end_of_the_grace_handlers_are_cancelled_and_their_entries_stay() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    add(&rig.main, 0..3).await;
    let gate = gate();
    let waits = gate.clone();
    let consumer = quick(&rig.main)
        .claim_idle(SOON)
        .run(move |entry: StreamEntry| {
            let gate = waits.clone();
            async move {
                if number(&entry) > 0 {
                    gate.acquire().await.expect("an open gate").forget();
                }
                Ok::<_, Infallible>(())
            }
        });
    let all_run = || {
        let statistics = consumer.statistics();
        (statistics.in_progress, statistics.acknowledged) == (2, 1)
    };
    eventually_async(SOON, "two run", all_run).await;
    let begun = Instant::now();
    let grace = Duration::from_millis(300);
    let statistics = consumer.stop(grace).await.expect("a consumer that runs");
    assert!(begun.elapsed() >= grace);
    assert_eq!(statistics.held, 2);
    eventually_async(SOON, "they are cancelled", || Arc::strong_count(&gate) == 1).await;
    assert_eq!(pending(&rig.main).await, 2);
    let consumers = rig.server.cli(&["XINFO", "CONSUMERS", STREAM, "billing"]);
    assert!(consumers.contains("redis-steward-"), "it is not deleted");
    rig.end().await;
}

#[tokio::test]
async fn a_consumer_that_is_dropped_ends() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    add(&rig.main, [0]).await;
    let gate = gate();
    let waits = gate.clone();
    let consumer = quick(&rig.main).run(move |_| {
        let gate = waits.clone();
        async move {
            gate.acquire().await.expect("an open gate").forget();
            Ok::<_, Infallible>(())
        }
    });
    let runs = || consumer.statistics().in_progress == 1;
    eventually_async(SOON, "it runs", runs).await;
    drop(consumer);
    eventually_async(SOON, "it is cancelled", || Arc::strong_count(&gate) == 1).await;
    assert_eq!(pending(&rig.main).await, 1);
    rig.end().await;
}
