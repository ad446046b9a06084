//! Commands through the async and the blocking handle: types, refusals, retries, blocking commands and
//! concurrency.

#[path = "../common/mod.rs"]
mod common;

mod blocking;
mod concurrency;
mod contexts;
mod errors;
mod forbidden;
mod pipelines;
mod retry;
mod thread_rig;
mod threads;
mod typed;
mod values;
