//! The activity that a connection publishes.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

/// The time of a connection's last use, which the pool reads when the janitor sweeps; and the number of its
/// outstanding requests, by which callers choose among shared connections.
#[derive(Debug)]
pub(crate) struct Activity {
    start: Instant,
    last_us: AtomicU64,
    outstanding: AtomicUsize,
}

impl Activity {
    pub(crate) fn starting(now: Instant) -> Self {
        Self {
            start: now,
            last_us: AtomicU64::new(0),
            outstanding: AtomicUsize::new(0),
        }
    }

    pub(super) fn mark(&self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.start).as_micros() as u64;
        self.last_us.store(elapsed, Relaxed);
    }

    pub(crate) fn set_outstanding(&self, requests: usize) {
        self.outstanding.store(requests, Relaxed);
    }

    /// Requests that were taken and not answered at the end of its last turn.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.load(Relaxed)
    }

    pub(crate) fn last(&self) -> Instant {
        self.start + Duration::from_micros(self.last_us.load(Relaxed))
    }
}
