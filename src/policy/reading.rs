//! The wishes of a caller that reads from replicas.

use std::time::{Duration, Instant};

/// Which servers may serve a read, and which of them first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// The data may be so old.
    pub(crate) max_staleness: Option<Duration>,
    pub(crate) primary: PrimaryRole,
}

/// When the primary serves reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PrimaryRole {
    /// When no replica can.
    #[default]
    LastResort,
    /// When a replica in its place would.
    Candidate,
    Excluded,
}

impl Reading {
    /// The oldest moment up to which a replica has to have everything.
    pub(crate) fn oldest(&self, now: Instant) -> Option<Instant> {
        let max_staleness = self.max_staleness?;
        // Data from before the clock began is always new enough.
        now.checked_sub(max_staleness)
    }
}
