//! Goal: what programs use Redis for goes on through an outage, or fails in a way that they can tell. Method: the
//! patterns of use are small programs with the data model of a real one. Each runs on the embedded server and on a real
//! one, undisturbed and through an outage, and what it may and may not lose is asserted.

#[path = "../common/mod.rs"]
mod common;

mod audit_log;
mod conversations;
mod costs;
mod fate;
mod feature_flags;
mod jobs;
mod live_updates;
mod locks;
mod rate_limits;
mod results;
mod sessions;
mod site;
mod startup;
mod summaries;
mod tasks;
mod thread_state;
