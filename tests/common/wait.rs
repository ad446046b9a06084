//! Waiting for a stated condition. Elsewhere tests sleep only where time itself is what they test or the
//! load that they make.
//!
//! Bounds are wall-clock time, because the tests wait for other processes and
//! threads: do not use these functions with a paused tokio clock. While the machine
//! stands still, little of a bound passes.

use std::{
    thread,
    time::{Duration, Instant},
};

const EVERY: Duration = Duration::from_millis(5);

/// The most of a bound that passes between two looks. So nothing fails because this process, or its whole
/// machine, stood still for longer.
const STEP: Duration = Duration::from_secs(1);

/// The time that is left of a bound.
struct Patience {
    left: Duration,
    last_look: Instant,
}

impl Patience {
    fn new(bound: Duration) -> Self {
        Self {
            left: bound,
            last_look: Instant::now(),
        }
    }

    /// Whether the bound has passed, after a look.
    fn is_over(&mut self) -> bool {
        let step = self.last_look.elapsed().min(STEP);
        self.left = self.left.saturating_sub(step);
        self.last_look = Instant::now();
        self.left.is_zero()
    }
}

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
    let (start, mut patience) = (Instant::now(), Patience::new(bound));
    while !condition() {
        assert!(
            !patience.is_over(),
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
    let mut patience = Patience::new(bound);
    while !condition().await {
        assert!(
            !patience.is_over(),
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
    let mut patience = Patience::new(bound);
    loop {
        if let Some(answer) = answer() {
            return Some(answer);
        }
        if patience.is_over() {
            return None;
        }
        thread::sleep(every);
    }
}
