//! Commands through the async and the blocking handle: types, refusals, retries, blocking commands and
//! concurrency.

#[path = "../common/mod.rs"]
mod common;

mod blocking;
mod concurrency;
mod forbidden;
mod retry;
mod threads;
mod typed;
