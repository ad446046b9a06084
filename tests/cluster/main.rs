//! Redis Cluster. Each test starts the nodes that it needs.

#[path = "../common/mod.rs"]
mod common;

mod fixture;
