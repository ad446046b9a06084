//! What a connection lets others see of itself.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

/// When a connection last had something to do, which the pool reads when the janitor sweeps; and how
/// much it has to do, which callers compare who have a choice.
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

    /// Requests that it has taken and not answered, when it last had its turn.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.load(Relaxed)
    }

    pub(crate) fn last(&self) -> Instant {
        self.start + Duration::from_micros(self.last_us.load(Relaxed))
    }
}
