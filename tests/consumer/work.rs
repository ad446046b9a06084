//! How entries are handled: how many at a time, and in which order.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use redis_steward::{ConsumerError, StreamEntry};
use tokio::time::sleep;

use crate::{
    common::{Rig, eventually_async},
    record::{Record, SOON, add, assert_done, lacks_claims, many, number, pending, quick, times},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_read_and_acknowledged_in_batches() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    add(&rig.main, 0..1_000).await;
    rig.server.cli(&["CONFIG", "RESETSTAT"]);
    let record = Record::default();
    let noted = record.clone();
    let consumer =
        quick(&rig.main)
            .claim_idle(SOON)
            .batch(many(100))
            .run(move |entry: StreamEntry| {
                noted.note(&entry);
                async { Ok::<_, Infallible>(()) }
            });
    let is_done = || consumer.statistics().acknowledged == 1_000;
    eventually_async(SOON, "all are acknowledged", is_done).await;
    assert!((0..1_000).eq(record.times().into_keys()), "each is handled");
    assert_eq!(record.len(), 1_000, "each once");
    // Ten batches, those of its own at the start, and the last one, which is empty.
    let reads = rig.server.commandstat("xreadgroup");
    assert!((11..=20).contains(&reads), "{reads} reads");
    let acknowledgements = rig.server.commandstat("xack");
    assert!(
        acknowledgements <= 500,
        "{acknowledgements} acknowledgements"
    );
    consumer.stop(SOON).await.expect("a consumer that runs");
    assert_done(&rig).await;
    rig.end().await;
}

#[tokio::test]
async fn the_statistics_of_a_database_have_its_consumers() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    add(&rig.main, 0..20).await;
    let consumers: Vec<_> = (0..2)
        .map(|_| {
            quick(&rig.main)
                .max_deliveries(times(1))
                .batch(many(2))
                .run(|entry: StreamEntry| async move {
                    match number(&entry) {
                        3 => Err("no"),
                        7 => std::future::pending().await,
                        _ => Ok(()),
                    }
                })
        })
        .collect();
    let totals = || rig.stats().consumers;
    let is_done = || (totals().acknowledged, totals().dead_lettered) == (18, 1);
    eventually_async(SOON, "all but one have ended", is_done).await;
    let now = totals();
    assert_eq!((now.running, now.in_progress, now.held), (2, 1, 1));
    assert_eq!((now.read, now.handled, now.failed), (20, 18, 1));
    drop(consumers);
    eventually_async(SOON, "they end", || totals().running == 0).await;
    let now = totals();
    assert_eq!((now.in_progress, now.held, now.handled), (0, 0, 18));
    rig.end().await;
}

#[tokio::test]
async fn no_more_handlers_run_at_a_time_than_permitted() {
    if lacks_claims() {
        return;
    }
    const BOUND: usize = 5;
    let rig = Rig::start().await;
    add(&rig.main, 0..100).await;
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let counted = (running.clone(), most.clone());
    let consumer = quick(&rig.main)
        .concurrency(many(BOUND))
        .batch(many(7))
        .run(move |_| {
            let (running, most) = counted.clone();
            async move {
                most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                sleep(Duration::from_millis(2)).await;
                running.fetch_sub(1, SeqCst);
                Ok::<_, Infallible>(())
            }
        });
    let mut most_held = 0;
    let is_done = || {
        let statistics = consumer.statistics();
        assert!(statistics.in_progress <= BOUND, "{statistics:?}");
        most_held = most_held.max(statistics.held);
        statistics.acknowledged == 100
    };
    eventually_async(SOON, "all are acknowledged", is_done).await;
    assert_eq!(most.load(SeqCst), BOUND);
    assert!(most_held <= BOUND + 2 * 7, "{most_held} held");
    consumer.stop(SOON).await.expect("a consumer that runs");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_with_the_same_key_are_handled_in_order() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    add(&rig.main, 0..200).await;
    // Per key the number of the last entry, while it is not being handled.
    type Lanes = Arc<Mutex<BTreeMap<u64, Vec<u64>>>>;
    let lanes = Lanes::default();
    let others_ran = Arc::new(AtomicUsize::new(0));
    let running = Arc::new(Mutex::new(BTreeMap::new()));
    let seen = (lanes.clone(), running, others_ran.clone());
    let consumer = quick(&rig.main)
        .in_order_by(|entry| entry.bytes("key").unwrap_or_default())
        .run(move |entry: StreamEntry| {
            let (lanes, running, others_ran) = seen.clone();
            async move {
                let (number, key) = (number(&entry), number(&entry) % 3);
                {
                    let mut running = running.lock().expect("a map");
                    assert_eq!(running.insert(key, number), None, "one at a time");
                    others_ran.fetch_max(running.len(), SeqCst);
                }
                sleep(Duration::from_micros(pause_of(number))).await;
                running.lock().expect("a map").remove(&key);
                let mut lanes = lanes.lock().expect("lanes");
                lanes.entry(key).or_default().push(number);
                Ok::<_, Infallible>(())
            }
        });
    let is_done = || consumer.statistics().acknowledged == 200;
    eventually_async(SOON, "all are acknowledged", is_done).await;
    let statistics = consumer.stop(SOON).await.expect("a consumer that runs");
    assert_eq!(statistics.failed, 0, "no two at a time");
    for (key, handled) in &*lanes.lock().expect("lanes") {
        assert!(handled.is_sorted(), "{key}: {handled:?}");
    }
    assert_eq!(others_ran.load(SeqCst), 3, "other keys do not wait");
    rig.end().await;
}

/// Handlers run where connections do, if there is no runtime where the consumer is started.
#[tokio::test]
async fn a_consumer_can_be_started_outside_of_any_runtime() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    add(&rig.main, 0..3).await;
    let main = rig.main.clone();
    let start = std::thread::spawn(move || {
        quick(&main).run(|_| async {
            // It needs a runtime.
            sleep(Duration::from_millis(1)).await;
            Ok::<_, Infallible>(())
        })
    });
    let consumer = start.join().expect("a consumer");
    let is_done = || consumer.statistics().acknowledged == 3;
    eventually_async(SOON, "all are acknowledged", is_done).await;
    consumer.stop(SOON).await.expect("a consumer that runs");
    rig.end().await;
}

/// The runtime of the application ends: nothing is acknowledged that was not handled, nor given up.
#[tokio::test]
async fn a_consumer_ends_with_the_runtime_of_its_handlers() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    add(&rig.main, 0..50).await;
    let application = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let consumer = {
        let _inside = application.enter();
        quick(&rig.main).max_deliveries(times(1)).run(|_| async {
            std::future::pending::<()>().await;
            Ok::<_, Infallible>(())
        })
    };
    let all_run = || consumer.statistics().in_progress == 16;
    eventually_async(SOON, "as many run as may", all_run).await;
    application.shutdown_background();
    let error = consumer.ended().await;
    assert!(matches!(error, ConsumerError::Runtime), "{error}");
    assert_eq!(pending(&rig.main).await, 50);
    assert_eq!(consumer.statistics().dead_lettered, 0);
    drop(consumer);
    rig.end().await;
}

/// A pause of up to 2 ms.
fn pause_of(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 2_000
}
