//! When a connection was last used.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

/// When a connection last had something to do; read by the pool when the janitor sweeps.
#[derive(Debug)]
pub(crate) struct Activity {
    start: Instant,
    last_us: AtomicU64,
}

impl Activity {
    pub(super) fn starting(now: Instant) -> Self {
        Self {
            start: now,
            last_us: AtomicU64::new(0),
        }
    }

    pub(super) fn mark(&self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.start).as_micros() as u64;
        self.last_us.store(elapsed, Relaxed);
    }

    pub(crate) fn last(&self) -> Instant {
        self.start + Duration::from_micros(self.last_us.load(Relaxed))
    }
}
