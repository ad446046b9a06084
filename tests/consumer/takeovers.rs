//! Entries of other consumers, and of earlier ones of the same name.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use redis::Value;
use redis_steward::{Database, StreamEntry};
use tokio::{sync::Semaphore, time::sleep};

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

/// An entry that another consumer has taken over is left to it, although it waits here.
#[tokio::test]
async fn row_186_a_claim_that_was_lost_is_not_taken_back() {
    if lacks_claims() {
        return;
    }
    let rig = with_entries(3).await;
    let record = Record::default();
    let gate = Arc::new(Semaphore::new(0));
    let (noted, waits) = (record.clone(), gate.clone());
    let consumer = quick(&rig.main)
        .claim_idle(Duration::from_secs(3))
        .concurrency(many(1))
        .run(move |entry: StreamEntry| {
            let (noted, waits) = (noted.clone(), waits.clone());
            async move {
                waits.acquire().await.expect("an open gate").forget();
                noted.note(&entry);
                Ok::<_, Infallible>(())
            }
        });
    eventually_async(SOON, "three are held", || consumer.statistics().held == 3).await;
    let pending = words("XPENDING orders billing - + 3");
    let pending: Vec<(String, String, u64, u64)> = rig.main.query(pending).await.expect("entries");
    // It has been there for longer than what was claimed just now.
    let take = format!("XCLAIM orders billing other 0 {} IDLE 1000", pending[2].0);
    rig.main.query::<Value>(words(&take)).await.expect("taken");
    eventually_async(SOON, "one is lost", || consumer.statistics().held == 2).await;
    gate.add_permits(3);
    // Nothing acknowledges it there, so it is idle for too long in the end.
    let is_done = || consumer.statistics().acknowledged == 3;
    eventually_async(SOON, "all are acknowledged", is_done).await;
    assert_eq!(record.len(), 3, "each once: {:?}", record.times());
    consumer.stop(SOON).await.expect("a consumer that runs");
    rig.end().await;
}

/// Handlers, and entries that wait for their turn, take longer than the time after which others take entries over.
///
/// On a machine that stands still for so long that no claim can be renewed in time, another attempt follows.
#[tokio::test]
async fn row_182_no_entry_is_taken_over_while_its_handler_runs() {
    if lacks_claims() {
        return;
    }
    for _ in 0..10 {
        let rig = with_entries(6).await;
        let stall = Arc::new(AtomicU64::new(0));
        let pulse = tokio::spawn(note_stalls(rig.main.clone(), stall.clone()));
        let (record, claimed) = handle_slowly(&rig).await;
        assert_done(&rig).await;
        pulse.abort();
        rig.end().await;
        // Half of the time is left when a claim is renewed.
        if Duration::from_millis(stall.load(Relaxed)) < SLOW_IDLE / 4 {
            assert_eq!(record.len(), 6, "each once: {:?}", record.times());
            assert_eq!(claimed, 0);
            return;
        }
    }
    panic!("the machine stood still in each attempt");
}

const SLOW_IDLE: Duration = Duration::from_millis(2_500);

/// Notes the longest time, in milliseconds, in which this process or the server did nothing.
async fn note_stalls(main: Database, longest: Arc<AtomicU64>) {
    const PAUSE: Duration = Duration::from_millis(20);
    loop {
        let begun = Instant::now();
        sleep(PAUSE).await;
        // An error comes after a time that is long enough.
        let _ = main.query::<()>(words("PING")).await;
        let stall = begun.elapsed().saturating_sub(PAUSE);
        longest.fetch_max(stall.as_millis() as u64, Relaxed);
    }
}

/// Returns the entries that were handled, and how many of them were taken over.
async fn handle_slowly(rig: &Rig) -> (Record, u64) {
    let record = Record::default();
    let consumers: Vec<_> = (0..2)
        .map(|_| {
            let noted = record.clone();
            quick(&rig.main)
                .claim_idle(SLOW_IDLE)
                .concurrency(many(2))
                .batch(many(3))
                .run(move |entry: StreamEntry| {
                    noted.note(&entry);
                    async move {
                        sleep(SLOW_IDLE + SLOW_IDLE / 5).await;
                        Ok::<_, Infallible>(())
                    }
                })
        })
        .collect();
    let numbers = || (0..6).eq(record.times().into_keys());
    let is_done = || numbers() && consumers.iter().all(|one| one.statistics().held == 0);
    eventually_async(SOON, "all are acknowledged", is_done).await;
    let mut claimed = 0;
    for consumer in consumers {
        let statistics = consumer.stop(SOON).await.expect("a consumer that runs");
        claimed += statistics.claimed;
    }
    (record, claimed)
}
