//! Whether the task of a connection is saturated.

use std::time::Duration;

use tokio::{sync::mpsc, time::Instant};

/// Only turns with at least this many requests waiting are timed. The two reads of the clock are then
/// spread over many commands, and with fewer requests one connection is enough.
const MIN_WAITING: usize = 64;
/// The time over which busy time is added up.
const WINDOW: Duration = Duration::from_millis(100);
/// The share of the window for which a saturated task was busy. On a single thread, which the task shares
/// with its callers, it never reaches this: another connection would not help there.
const BUSY_SHARE: f64 = 0.9;

/// A connection is saturated when its task was busy for 90 % of 100 ms with at least 64 requests waiting;
/// the pool then opens another.
#[derive(Debug)]
pub(super) struct Saturation {
    saturated: mpsc::Sender<()>,
    window: Option<Instant>,
    busy: Duration,
}

impl Saturation {
    pub(super) fn new(saturated: mpsc::Sender<()>) -> Self {
        Self {
            saturated,
            window: None,
            busy: Duration::ZERO,
        }
    }

    /// A turn begins with so many requests waiting. Returns its start, if it is to be timed.
    pub(super) fn begin(&mut self, waiting: usize) -> Option<Instant> {
        if waiting < MIN_WAITING {
            self.window = None;
            return None;
        }
        let now = Instant::now();
        if self.window.is_none() {
            self.window = Some(now);
            self.busy = Duration::ZERO;
        }
        Some(now)
    }

    /// A timed turn ends.
    pub(super) fn end(&mut self, began: Instant) {
        let now = Instant::now();
        self.busy += now.saturating_duration_since(began);
        let Some(start) = self.window else {
            return;
        };
        let elapsed = now.saturating_duration_since(start);
        if elapsed >= WINDOW {
            self.window = None;
            if self.busy >= elapsed.mul_f64(BUSY_SHARE) {
                // An error means that the pool has gone, or has not taken the last notice yet.
                let _ = self.saturated.try_send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn turns(saturation: &mut Saturation, waiting: usize, busy: u64, pause: u64) {
        for _ in 0..500 {
            let turn = saturation.begin(waiting);
            tokio::time::advance(Duration::from_micros(busy)).await;
            if let Some(turn) = turn {
                saturation.end(turn);
            }
            tokio::time::advance(Duration::from_micros(pause)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_is_busy_for_most_of_the_window_is_saturated() {
        let (saturated, mut notices) = mpsc::channel(1);
        let mut saturation = Saturation::new(saturated);
        let mut is_saturated = || notices.try_recv().is_ok();
        turns(&mut saturation, MIN_WAITING, 500, 500).await;
        assert!(!is_saturated(), "half of the time");
        turns(&mut saturation, MIN_WAITING - 1, 1_000, 0).await;
        assert!(!is_saturated(), "with few requests waiting");
        turns(&mut saturation, MIN_WAITING, 960, 40).await;
        assert!(is_saturated());
    }
}
