//! What the allocator has given out.

use std::{alloc::System, time::Duration};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::time::sleep;

use crate::common::proc;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Memory of the process.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Held {
    /// Bytes that were allocated and not given back.
    pub(crate) heap: f64,
    /// Bytes that the system has given the process.
    pub(crate) resident: f64,
}

impl Held {
    /// Once it does not change any more. There is no other sign that all tasks are done.
    pub(crate) async fn settled() -> Self {
        const STILL: Duration = Duration::from_millis(50);
        const PATIENCE: usize = 200;
        let mut last = Self::now();
        for _ in 0..PATIENCE {
            sleep(STILL).await;
            let now = Self::now();
            if now.heap == last.heap {
                return now;
            }
            last = now;
        }
        panic!(
            "the heap does not come to rest within {:?}",
            STILL * PATIENCE as u32
        );
    }

    fn now() -> Self {
        let stats = ALLOCATOR.stats();
        Self {
            heap: stats.bytes_allocated as f64 - stats.bytes_deallocated as f64,
            resident: proc::resident_bytes() as f64,
        }
    }

    /// What each of `count` things takes that were made since `before`.
    pub(crate) fn per(self, count: usize, before: Self) -> Self {
        Self {
            heap: (self.heap - before.heap) / count as f64,
            resident: (self.resident - before.resident) / count as f64,
        }
    }
}

/// How often memory was asked for so far, growing what there was included.
pub(crate) fn allocations() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}
