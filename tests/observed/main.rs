//! Goal: what the crate tells of itself is true: statistics, health checks, metrics, log lines and spans. Method: real servers, faults while calls
//! are under way, and the callers' own counts beside those of the crate.

#[path = "../common/mod.rs"]
mod common;

mod health_checks;
mod log_lines;
mod metrics;
mod spans;
mod statistics;
mod status_page;

use std::time::Duration;

/// Longer than anything should take.
const SOON: Duration = Duration::from_secs(20);
