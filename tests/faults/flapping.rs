//! The same fault again and again: no outage lasts longer because of the ones before it.

use std::time::{Duration, Instant};

use redis_steward::{Database, DatabaseConfig, Error};

use crate::{
    Rig, SLACK, SOON,
    common::{FaultProxy, RedisServer, spawn},
    incr,
};

const FLAPS: u32 = 10;
/// The README's promise.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// A time between these, in milliseconds.
fn at_random(range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(fastrand::u64(range))
}

/// Calls every few milliseconds until this time has passed.
async fn call_for(main: &Database, time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        let impatient = main.with_timeout(Duration::from_millis(500));
        // Whether it fails is the business of other tests.
        drop(impatient.query::<i64>(incr()).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The time until a call succeeds that is made from now on.
async fn back_after(main: &Database) -> Duration {
    let start = Instant::now();
    loop {
        let patient = main.with_timeout(Duration::from_millis(500));
        match patient.query::<i64>(incr()).await {
            Ok(_) => return start.elapsed(),
            Err(Error::CircuitOpen { .. }) => tokio::time::sleep(Duration::from_millis(2)).await,
            Err(_) => {}
        }
        assert!(start.elapsed() < SOON, "it is not back");
    }
}

/// Ten times: the fault for a while, its end, and a while without it.
async fn flap(main: &Database, fault: impl Fn(), end: impl Fn()) {
    let mut took = Vec::new();
    for _ in 0..FLAPS {
        fault();
        call_for(main, at_random(1_500..3_500)).await;
        end();
        took.push(back_after(main).await);
        call_for(main, at_random(10..1_000)).await;
    }
    let longest = took.iter().max().expect("ten");
    assert!(*longest < BACK_WITHIN + SLACK, "{took:?}");
    let mut sorted = took.clone();
    sorted.sort_unstable();
    // Beyond what a busy machine explains.
    assert!(sorted[took.len() / 2] < BACK_WITHIN, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_73_killed_again_and_again() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    flap(&main, || server.kill(), || server.restart()).await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_73_frozen_again_and_again() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    flap(&main, || server.freeze(), || server.thaw()).await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_73_refused_again_and_again() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let (supervisor, main) = spawn(DatabaseConfig::from_url(proxy.url())).await;
    let refuse = || {
        proxy.refuse();
        proxy.reset_all();
    };
    flap(&main, refuse, || proxy.heal()).await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_73_dropped_again_and_again() {
    let rig = Rig::start().await;
    let swallow = || rig.proxy.set(crate::common::Mode::BlackHole);
    let heal = || {
        rig.proxy.reset_all();
        rig.proxy.heal();
    };
    flap(&rig.main, swallow, heal).await;
    rig.end().await;
}
