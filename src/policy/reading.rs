//! The wishes of a caller that reads from replicas.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Which servers may serve a read, and which of them first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    /// The data may be so old.
    pub(crate) max_staleness: Option<Duration>,
    pub(crate) primary: PrimaryRole,
    /// Servers of this availability zone come first.
    pub(crate) zone: Option<Arc<str>>,
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

    /// Whether a server of this zone comes first.
    pub(crate) fn prefers(&self, zone: Option<&str>) -> bool {
        self.zone.is_some() && self.zone.as_deref() == zone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_of_a_server_has_to_be_known_to_be_preferred() {
        let reading = |zone: Option<&str>| Reading {
            zone: zone.map(Arc::from),
            ..Reading::default()
        };
        assert!(reading(Some("a")).prefers(Some("a")));
        assert!(!reading(Some("a")).prefers(Some("b")));
        assert!(!reading(Some("a")).prefers(None));
        assert!(!reading(None).prefers(None));
        assert!(!reading(None).prefers(Some("a")));
    }
}
