//! Commands through the async and the blocking handle: types, refusals, retries, blocking commands and
//! concurrency.

#[path = "../common/mod.rs"]
mod common;

// The reviewed commands, as the unit tests know them.
#[path = "../../src/policy/command/reviewed_tests.rs"]
mod lists;

mod blocking;
mod concurrency;
mod contexts;
mod conversions;
mod errors;
mod forbidden;
mod pipelines;
mod retry;
mod reviewed;
mod thread_rig;
mod threads;
#[cfg(feature = "internals")]
mod timeouts;
mod typed;
mod values;
