//! Memory use. Memory is counted for the whole process, so the tests take turns.

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod hostile_input;
mod leases;
mod messages;

use std::{
    alloc::System,
    sync::{Mutex, PoisonError},
};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime::Builder;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Runs a test on its own runtime, while no other test runs or holds a runtime.
fn alone(runtime: &mut Builder, test: impl Future<Output = ()>) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(test);
}

fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}
