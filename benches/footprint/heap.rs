//! The memory that the allocator has handed out.

use std::{alloc::System, time::Duration};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::time::sleep;

use crate::common::proc;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Memory of the process.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Held {
    /// Bytes that were allocated and not freed.
    pub(crate) heap: f64,
    /// Bytes that the system has given the process.
    pub(crate) resident: f64,
}

impl Held {
    /// The memory once the heap no longer changes. There is no other sign that all tasks are done.
    pub(crate) async fn settled() -> Self {
        const STILL: Duration = Duration::from_millis(50);
        const MAX_CHECKS: usize = 200;
        let mut last = Self::now();
        for _ in 0..MAX_CHECKS {
            sleep(STILL).await;
            let now = Self::now();
            if now.heap == last.heap {
                return now;
            }
            last = now;
        }
        panic!(
            "the heap does not come to rest within {:?}",
            STILL * MAX_CHECKS as u32
        );
    }

    fn now() -> Self {
        let stats = ALLOCATOR.stats();
        Self {
            heap: stats.bytes_allocated as f64 - stats.bytes_deallocated as f64,
            resident: proc::resident_bytes() as f64,
        }
    }

    /// The memory per item, of `count` items that were made since `before`.
    pub(crate) fn per(self, count: usize, before: Self) -> Self {
        Self {
            heap: (self.heap - before.heap) / count as f64,
            resident: (self.resident - before.resident) / count as f64,
        }
    }
}

/// Allocations so far, reallocations included.
pub(crate) fn allocations() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}
