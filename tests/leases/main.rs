//! Connections of one's own: what a lease guarantees, in tasks and in threads, and the warning about
//! one that is kept.

#[path = "../common/mod.rs"]
mod common;

mod leak_warning;
mod lending;
mod threads;
mod transactions;
