//! Commands through the handles: what they do, which are refused or sent again, and how many at a
//! time.

#[path = "../common/mod.rs"]
mod common;

mod blocking;
mod concurrency;
mod forbidden;
mod retry;
mod threads;
mod typed;
