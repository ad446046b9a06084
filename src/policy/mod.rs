//! Decisions, apart from their execution. Nothing here reads a clock, rolls a die, or touches a socket:
//! times and jitter are arguments, so that every rule is tested as a value.

pub(crate) mod backoff;
pub(crate) mod breaker;
pub(crate) mod cluster;
pub(crate) mod command;
pub(crate) mod consumer;
pub(crate) mod fallback;
pub(crate) mod gate_state;
pub(crate) mod handoff;
pub(crate) mod health;
pub(crate) mod near_cache;
pub(crate) mod nearness;
pub(crate) mod outcome;
pub(crate) mod pace;
pub(crate) mod plan;
pub(crate) mod pool;
pub(crate) mod reading;
mod refusals;
pub(crate) mod replicas;
pub(crate) mod restarts;
pub(crate) mod retry;
pub(crate) mod scan;
pub(crate) mod session;
pub(crate) mod slots;
pub(crate) mod subscriptions;
mod window;
