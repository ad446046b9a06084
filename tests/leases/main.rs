//! Leases: exclusive connections in tasks and threads, transactions on them, and the leak warning.

#[path = "../common/mod.rs"]
mod common;

mod distance;
mod failures;
mod leak_warning;
mod lending;
mod subscriptions;
mod threads;
mod transactions;
mod waiting;
