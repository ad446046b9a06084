//! Waiting for a stated condition. Elsewhere tests sleep only where time itself is what they test or the
//! load that they make.
//!
//! Bounds are wall-clock time, because the tests wait for other processes and
//! threads: do not use these functions with a paused tokio clock.

use std::{
    thread,
    time::{Duration, Instant},
};

const EVERY: Duration = Duration::from_millis(5);

/// Blocks until `condition` holds and returns how long that took.
///
/// # Panics
///
/// When it does not hold within `bound`; the message names `condition_name`.
#[track_caller]
pub fn eventually(
    bound: Duration,
    condition_name: &str,
    mut condition: impl FnMut() -> bool,
) -> Duration {
    let start = Instant::now();
    match poll(bound, EVERY, || condition().then_some(())) {
        Some(()) => start.elapsed(),
        None => panic!("not within {bound:?}: {condition_name}"),
    }
}

/// [`eventually`] for async tests: the runtime runs on meanwhile.
pub async fn eventually_async(
    bound: Duration,
    condition_name: &str,
    mut condition: impl FnMut() -> bool,
) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < bound,
            "not within {bound:?}: {condition_name}"
        );
        tokio::time::sleep(EVERY).await;
    }
    start.elapsed()
}

/// [`eventually_async`] for a condition that has to be asked for.
pub async fn eventually_asked<F: Future<Output = bool>>(
    bound: Duration,
    condition_name: &str,
    mut condition: impl FnMut() -> F,
) {
    let start = Instant::now();
    while !condition().await {
        assert!(
            start.elapsed() < bound,
            "not within {bound:?}: {condition_name}"
        );
        tokio::time::sleep(EVERY).await;
    }
}

/// Asks until there is an answer; `None` when there was none within `bound`.
pub fn poll<T>(
    bound: Duration,
    every: Duration,
    mut answer: impl FnMut() -> Option<T>,
) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return Some(answer);
        }
        if start.elapsed() >= bound {
            return None;
        }
        thread::sleep(every);
    }
}
