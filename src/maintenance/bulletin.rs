//! What a connection tells its pool of the announcements of its server.

use std::time::Duration;

use crate::config::Address;

/// The state of the announcements that the pool follows. It is a state and no queue: however many come at a time, the last
/// one of each kind counts, and none is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bulletin {
    /// The last move.
    pub(crate) moving: Option<Moving>,
    /// How many were announced.
    pub(crate) moves: u64,
    /// How often slots had moved.
    pub(crate) slot_moves: u64,
    /// The number of works that are under way.
    pub(crate) works: usize,
}

/// The server of a connection goes within this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moving {
    pub(crate) within: Duration,
    /// Where to go; `None` for the present address, which leads elsewhere soon.
    pub(crate) to: Option<Address>,
}
