//! Callers that count, and know which of their calls may have counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use redis::cmd;
use redis_steward::{Database, Error, Execution};
use tokio::task::JoinHandle;

use crate::common::eventually_async;

const SOON: Duration = Duration::from_secs(30);

/// Callers that increment keys of their own, until they are told to end.
pub(crate) struct Load {
    is_over: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<Tally>>,
}

/// What a caller knows of its key.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) key: String,
    pub(crate) acknowledged: i64,
    pub(crate) unknown: i64,
    pub(crate) failed: Vec<(Instant, Error)>,
    /// When its last call before and the first call after a time without success were answered.
    pub(crate) longest_gap: Duration,
}

impl Load {
    /// A caller for each key.
    pub(crate) fn on(main: &Database, keys: impl IntoIterator<Item = String>) -> Self {
        let (is_over, acknowledged) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let tasks = keys.into_iter().map(|key| {
            let count = count(main.clone(), key, is_over.clone(), acknowledged.clone());
            tokio::spawn(count)
        });
        Self {
            tasks: tasks.collect(),
            is_over,
            acknowledged,
        }
    }

    /// Waits for so many more calls.
    pub(crate) async fn more(&self, calls: u64) {
        let before = self.acknowledged.load(Relaxed);
        let is_more = || self.acknowledged.load(Relaxed) >= before + calls;
        eventually_async(SOON, "load", is_more).await;
    }

    /// Ends the callers, and compares what they know with what is stored.
    pub(crate) async fn end(self, main: &Database) -> Vec<Tally> {
        self.is_over.store(true, Relaxed);
        let mut tallies = Vec::new();
        for task in self.tasks {
            let tally = task.await.expect("no caller panics");
            let stored: i64 = main
                .query(cmd("GET").arg(&tally.key))
                .await
                .unwrap_or_else(|error| panic!("{}: {error}", tally.key));
            let most = tally.acknowledged + tally.unknown;
            assert!(
                (tally.acknowledged..=most).contains(&stored),
                "{}: {} acknowledged, {} unknown, {stored} stored",
                tally.key,
                tally.acknowledged,
                tally.unknown
            );
            tallies.push(tally);
        }
        tallies
    }
}

async fn count(
    main: Database,
    key: String,
    is_over: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
) -> Tally {
    let mut tally = Tally {
        key,
        ..Tally::default()
    };
    let mut last = Instant::now();
    while !is_over.load(Relaxed) {
        match main.query::<i64>(cmd("INCR").arg(&tally.key)).await {
            Ok(_) => {
                tally.acknowledged += 1;
                acknowledged.fetch_add(1, Relaxed);
                let now = Instant::now();
                tally.longest_gap = tally.longest_gap.max(now - last);
                last = now;
            }
            Err(error) => {
                match error.execution() {
                    Execution::NotSent | Execution::NotExecuted => {}
                    _ => tally.unknown += 1,
                }
                tally.failed.push((Instant::now(), error));
                // Refusals come at once, and would be made in a tight loop.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    tally
}
