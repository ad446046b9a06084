//! Counters never fall, also not while calls are refused, time out, are lost, and are served by the store instead. Readers
//! of a counter take a fall for a restart of the process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use redis_steward::{DatabaseStats, Fallback, Supervisor};

use crate::{common::words, rig::Rig};

/// The pause between snapshots, and between the rounds of a caller.
const PACE: Duration = Duration::from_millis(1);

/// All that is counted, by name.
fn counters(stats: &DatabaseStats) -> [(&'static str, u64); 29] {
    let pool = &stats.pool;
    let recovery = &stats.fallback.recovery;
    [
        ("succeeded", stats.succeeded),
        ("error_replies", stats.error_replies),
        ("timed_out", stats.timed_out),
        ("lost", stats.lost),
        ("cancelled", stats.cancelled),
        ("refused", stats.refused),
        ("retried", stats.retried),
        ("retries_denied", stats.retries_denied),
        ("slow", stats.slow),
        ("trips", stats.trips),
        ("circuit_changes", stats.circuit_changes),
        ("events", stats.events),
        ("bytes_sent", stats.bytes_sent),
        ("bytes_received", stats.bytes_received),
        ("latency", stats.latency.count()),
        ("fallback.served", stats.fallback.served),
        ("fallback.stale", stats.fallback.stale),
        ("fallback.evicted", stats.fallback.evicted),
        ("recovery.replayed", recovery.replayed),
        ("recovery.refused", recovery.refused),
        ("recovery.dropped", recovery.dropped),
        ("pool.acquire_timeouts", pool.acquire_timeouts),
        ("pool.opened", pool.opened),
        ("pool.dial_failures", pool.dial_failures),
        ("pool.lost", pool.lost),
        ("pool.discarded", pool.discarded),
        ("pool.restarts", pool.restarts),
        ("pool.handoffs", pool.handoffs),
        ("pool.acquire_wait", pool.acquire_wait.count()),
    ]
}

/// Takes snapshots until it is over, and returns the first fall.
fn first_fall(supervisor: &Supervisor, is_over: &AtomicBool) -> Option<String> {
    let now = || counters(&supervisor.statistics().databases["main"]);
    let mut before = now();
    while !is_over.load(Relaxed) {
        let after = now();
        for ((name, before), (_, after)) in before.iter().zip(&after) {
            if after < before {
                return Some(format!("{name} fell from {before} to {after}"));
            }
        }
        before = after;
        // Others need the processors, too.
        thread::sleep(PACE);
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_counter_falls_under_load_through_outages() {
    let mut rig = Rig::with(Fallback::memory(), |main| {
        main.command_timeout(Duration::from_millis(200))
    })
    .await;
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = {
        let (supervisor, is_over) = (rig.supervisor.clone(), is_over.clone());
        thread::spawn(move || first_fall(&supervisor, &is_over))
    };
    let callers = (0..16).map(|number| {
        let (main, is_over) = (rig.main.clone(), is_over.clone());
        tokio::spawn(async move {
            while !is_over.load(Relaxed) {
                // Served, refused by the store, and on a connection of its own.
                for line in ["SET a 1", "GET a", "LPUSH b 1", "BLPOP c 0.01"] {
                    let asked = words(line);
                    let call = main.query_with_source::<redis::Value>(asked);
                    if number % 4 > 0 {
                        // An outage has all kinds of errors.
                        let _ = call.await;
                    } else {
                        let _ = tokio::time::timeout(Duration::from_millis(1), call).await;
                    }
                }
                tokio::time::sleep(PACE).await;
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    for _ in 0..3 {
        rig.outage().await;
        rig.recovery().await;
    }
    let last = rig.stats();
    assert!(last.fallback.served > 0 && last.refused > 0, "{last}");
    is_over.store(true, Relaxed);
    for caller in callers {
        caller.await.expect("no panic");
    }
    let fall = reader.join().expect("no panic");
    assert_eq!(fall, None);
}
