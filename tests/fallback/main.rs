//! A store in this process stands in for a server that is away, and does not lie about it. The server is a real
//! one that is killed and started again.

#[path = "../common/mod.rs"]
mod common;

mod counters;
mod discard;
mod honesty;
mod replay;
mod rig;
mod stale_reads;
