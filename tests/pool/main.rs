//! The connections of a pool: how they are opened, shared, lent, counted and closed.

#[path = "../common/mod.rs"]
mod common;

mod growth;
mod handshake;
mod janitor;
mod lanes;
mod lifetime;
mod random_steps;
mod statistics;
