//! A database that is a Redis Cluster: where each command goes, and how one is split.
//!
//! # Layout
//! - `route`: where a command, or an atomic pipeline, goes · `keyless`: the same for commands without keys
//! - `split`: the parts of a command whose keys are in several slots

mod keyless;
mod route;
#[cfg(test)]
mod route_tests;
mod split;

pub(crate) use self::{
    keyless::Merge,
    split::{Part, Split},
};
#[expect(unused_imports, reason = "calls are not routed yet")]
pub(crate) use self::{
    keyless::Unroutable,
    route::{Atomic, KeyPlace, Route},
};
