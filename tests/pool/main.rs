//! The connections of a pool: handshake, shared and leased lanes, growth, lifetime, idle sweep and
//! statistics.

#[path = "../common/mod.rs"]
mod common;

mod growth;
mod handshake;
mod janitor;
mod lanes;
mod lifetime;
mod random_steps;
mod statistics;
