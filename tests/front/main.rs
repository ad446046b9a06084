//! The front: clients of every kind on the handles of a supervisor.

#[path = "../common/mod.rs"]
mod common;

mod bounds;
mod databases;
mod in_process;
mod listening;
mod order;
mod outage;
mod raw_client;
mod sessions;
mod shapes;
mod site;
mod subscriptions;
mod tools;
mod transactions;
