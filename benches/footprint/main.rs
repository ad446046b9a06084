//! The footprint of the crate: memory, allocations per command, and how both grow with the number of
//! databases.
//!
//! `cargo bench --bench footprint` (it starts its own redis-servers, and takes a minute). Bytes
//! and allocations are those of the process, counted by its allocator, and repeat from run to run
//! within a few per cent. Times are noise on a shared machine: look at the ratios of the last table
//! there. Counting allocations makes the times a little worse.

#[path = "../../tests/common/mod.rs"]
mod common;

mod allocations;
mod growth;
mod heap;
mod memory;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};

fn main() {
    permit_sockets();
    let runtime = runtime();
    // Memory first: resident memory does not shrink again.
    runtime.block_on(memory::print());
    runtime.block_on(allocations::print());
    runtime.block_on(growth::print());
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A thousand connections exceed the default limit of many systems, so this raises it to the maximum.
fn permit_sockets() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, most).expect("the limit that is permitted");
}
