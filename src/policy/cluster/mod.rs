//! The decisions about a cluster, as values.
//!
//! - `route`: where a command, or an atomic pipeline, goes · `keyless`: the same for commands without keys
//! - `split`: the parts of a command whose keys are in several slots
//! - `redirect`: where a node sends a client
//! - `topology`: what nodes say of their cluster, and which of them to believe · `asking`: when the nodes are asked

mod asking;
mod keyless;
mod redirect;
mod route;
#[cfg(test)]
mod route_tests;
mod split;
mod topology;

pub(crate) use self::{
    asking::Asking,
    keyless::{Merge, Unroutable},
    redirect::{Redirect, is_away, will_pass},
    route::{Atomic, KeyPlace, Route},
    split::{Part, Split},
    topology::{Shards, SlotList, Told, Topology, agreed},
};
