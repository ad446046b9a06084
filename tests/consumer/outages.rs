//! A server that goes away while consumers work.

use std::{convert::Infallible, time::Duration};

use redis_steward::{Consumer, Database, HealthState, StreamEntry};
use tokio::time::sleep;

use crate::{
    common::{RedisServer, Rig, eventually_async, left_out_on_embedded},
    record::{Record, SOON, add, assert_done, lacks_claims, many, quick},
};

const CONSUMERS: usize = 3;
const CONCURRENCY: usize = 4;
const BATCH: usize = 8;
const KILLS: u64 = 3;

/// A server whose data survive a kill.
fn lasting() -> RedisServer {
    RedisServer::builder()
        .arg("appendonly", "yes")
        .arg("appendfsync", "always")
        .start()
}

fn start(database: &Database, record: &Record) -> Consumer {
    let noted = record.clone();
    quick(database)
        .claim_idle(Duration::from_secs(3))
        .concurrency(many(CONCURRENCY))
        .batch(many(BATCH))
        .run(move |entry: StreamEntry| {
            let noted = noted.clone();
            async move {
                sleep(Duration::from_millis(1)).await;
                noted.note(&entry);
                Ok::<_, Infallible>(())
            }
        })
}

async fn all_acknowledged(rig: &Rig, consumers: &[Consumer], numbers: u64, record: &Record) {
    let is_done = || {
        let held = consumers.iter().map(|one| one.statistics().held);
        record.times().len() as u64 == numbers && held.sum::<usize>() == 0
    };
    eventually_async(SOON, "all are handled", is_done).await;
    assert_eq!(crate::record::pending(&rig.main).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_183_a_server_that_dies_costs_no_entry() {
    if left_out_on_embedded() {
        return;
    }
    if lacks_claims() {
        return;
    }
    let rig = Rig::on(lasting(), |main| main).await;
    let record = Record::default();
    let consumers: Vec<_> = (0..CONSUMERS).map(|_| start(&rig.main, &record)).collect();
    add(&rig.main, 0..200).await;
    all_acknowledged(&rig, &consumers, 200, &record).await;
    assert_eq!(record.len(), 200, "before any fault each once");

    for kill in 0..KILLS {
        let first = 200 + 200 * kill;
        add(&rig.main, first..first + 200).await;
        let half = (first + 60) as usize;
        eventually_async(SOON, "some are handled", || record.times().len() > half).await;
        rig.server.kill();
        // A longer outage than a quick restart.
        let is_down = || matches!(rig.main.state(), HealthState::Down { .. });
        eventually_async(SOON, "the circuit opens", is_down).await;
        rig.server.restart();
        all_acknowledged(&rig, &consumers, first + 200, &record).await;
    }
    let again = record.len() - record.times().len();
    let most = KILLS as usize * CONSUMERS * (CONCURRENCY + 2 * BATCH);
    assert!(
        again <= most,
        "{again} of at most {most} were handled again"
    );

    let before = record.len();
    add(&rig.main, 800..1_000).await;
    all_acknowledged(&rig, &consumers, 1_000, &record).await;
    assert_eq!(record.len() - before, 200, "after all faults each once");
    for consumer in consumers {
        let statistics = consumer.stop(SOON).await.expect("a consumer that runs");
        assert_eq!((statistics.failed, statistics.dead_lettered), (0, 0));
    }
    assert_done(&rig).await;
    rig.end().await;
}

/// Handlers go on during an outage, and what they have handled is acknowledged afterwards.
#[tokio::test]
async fn row_183_what_was_handled_during_an_outage_is_acknowledged_after_it() {
    if left_out_on_embedded() {
        return;
    }
    if lacks_claims() {
        return;
    }
    let rig = Rig::on(lasting(), |main| main).await;
    add(&rig.main, 0..6).await;
    let record = Record::default();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let (noted, waits) = (record.clone(), gate.clone());
    let consumer = quick(&rig.main)
        .claim_idle(SOON)
        .run(move |entry: StreamEntry| {
            let (noted, waits) = (noted.clone(), waits.clone());
            async move {
                waits.acquire().await.expect("an open gate").forget();
                noted.note(&entry);
                Ok::<_, Infallible>(())
            }
        });
    let all_run = || consumer.statistics().in_progress == 6;
    eventually_async(SOON, "all run", all_run).await;
    rig.server.kill();
    gate.add_permits(6);
    let is_handled = || consumer.statistics().handled == 6;
    eventually_async(SOON, "all are handled", is_handled).await;
    let statistics = consumer.statistics();
    assert_eq!((statistics.acknowledged, statistics.held), (0, 6));
    rig.server.restart();
    let is_done = || consumer.statistics().acknowledged == 6;
    eventually_async(SOON, "all are acknowledged", is_done).await;
    assert_eq!(record.len(), 6, "each once");
    consumer.stop(SOON).await.expect("a consumer that runs");
    assert_done(&rig).await;
    rig.end().await;
}

/// While an operator has taken the database out of use, the consumer waits.
#[tokio::test]
async fn a_consumer_waits_for_the_end_of_an_isolation() {
    if lacks_claims() {
        return;
    }
    let rig = Rig::start().await;
    let record = Record::default();
    let consumer = start(&rig.main, &record);
    add(&rig.main, 0..5).await;
    let acknowledged = || consumer.statistics().acknowledged;
    eventually_async(SOON, "it works", || acknowledged() == 5).await;
    rig.supervisor.isolate("main").await.expect("isolated");
    let notices = || consumer.statistics().last_error.is_some();
    eventually_async(SOON, "it notices", notices).await;
    for number in ["5", "6"] {
        rig.server.cli(&["XADD", "orders", "*", "number", number]);
    }
    rig.supervisor.reset("main").await.expect("reset");
    eventually_async(SOON, "it goes on", || acknowledged() == 7).await;
    consumer.stop(SOON).await.expect("a consumer that runs");
    assert_done(&rig).await;
    rig.end().await;
}
