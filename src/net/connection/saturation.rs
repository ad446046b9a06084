//! Whether a connection has more to do than its task can.

use std::time::Duration;

use tokio::{sync::mpsc, time::Instant};

/// Only turns that find so many requests waiting are timed. The two looks at the clock are then
/// spread over many commands, and where there are fewer, one connection is enough.
const CROWD: usize = 64;
/// So long its turns are added up.
const WINDOW: Duration = Duration::from_millis(100);
/// A task that had so much of the time to itself is what others wait for. On a single thread, which
/// callers share with it, it never has: another connection would not help there.
const SATURATED: f64 = 0.9;

/// Adds up how long a connection's task runs, and says so when it hardly does anything else.
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

    /// A turn begins with so many requests waiting. Tells when, if it is to be timed.
    pub(super) fn begin(&mut self, waiting: usize) -> Option<Instant> {
        if waiting < CROWD {
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

    pub(super) fn end(&mut self, began: Instant) {
        let now = Instant::now();
        self.busy += now.saturating_duration_since(began);
        let Some(start) = self.window else {
            return;
        };
        let elapsed = now.saturating_duration_since(start);
        if elapsed >= WINDOW {
            self.window = None;
            if self.busy >= elapsed.mul_f64(SATURATED) {
                // Nobody may want to know any more, or not have heard the last time yet.
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
    async fn a_task_that_does_nothing_else_is_saturated() {
        let (saturated, mut said) = mpsc::channel(1);
        let mut saturation = Saturation::new(saturated);
        let mut is_saturated = || said.try_recv().is_ok();
        turns(&mut saturation, CROWD, 500, 500).await;
        assert!(!is_saturated(), "half of the time");
        turns(&mut saturation, CROWD - 1, 1_000, 0).await;
        assert!(!is_saturated(), "with few who wait");
        turns(&mut saturation, CROWD, 960, 40).await;
        assert!(is_saturated());
    }
}
