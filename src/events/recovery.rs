//! The end of a fallback.

use std::fmt;

/// What has become of the writes of an outage that a [`Fallback`](crate::Fallback) has served, counted in changes of
/// keys: a value that was replaced before the end is no change of its own, and neither are additions that were joined. A
/// change of more than 64 KiB is carried out in pieces, of which each counts.
///
/// `Display` gives one line, such as `12 changes replayed, 3 dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Recovery {
    /// Changes that the server has carried out.
    pub replayed: u64,
    /// Writes that were given up because that was [chosen](crate::OnRecovery::Discard).
    pub discarded: u64,
    /// Changes that were dropped because the journal was full, or because the supervisor was shut down. They are
    /// lost.
    pub dropped: u64,
    /// Conflicts: changes that the server refused, such as an addition to a list where it has a string. They are lost.
    pub refused: u64,
    /// Changes that may have been carried out: the connection broke before the reply, and doing them twice would
    /// have been worse.
    pub in_doubt: u64,
}

impl Recovery {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            replayed: self.replayed + other.replayed,
            discarded: self.discarded + other.discarded,
            dropped: self.dropped + other.dropped,
            refused: self.refused + other.refused,
            in_doubt: self.in_doubt + other.in_doubt,
        }
    }

    /// Whether no write was lost, other than those that were to be discarded.
    pub fn is_complete(&self) -> bool {
        (self.dropped, self.refused, self.in_doubt) == (0, 0, 0)
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} changes replayed", self.replayed)?;
        for (number, what) in [
            (self.discarded, "discarded"),
            (self.dropped, "dropped"),
            (self.refused, "refused by the server"),
            (self.in_doubt, "in doubt"),
        ] {
            if number > 0 {
                write!(f, ", {number} {what}")?;
            }
        }
        Ok(())
    }
}
