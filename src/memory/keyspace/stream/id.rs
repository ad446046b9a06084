//! The ids of entries.

use std::fmt;

use bytes::Bytes;

/// A time in milliseconds, and a number among the entries of that time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::memory) struct Id {
    pub(in crate::memory) millis: u64,
    pub(in crate::memory) sequence: u64,
}

impl Id {
    /// It is never the id of an entry.
    pub(in crate::memory) const MIN: Self = Self::new(0, 0);
    pub(in crate::memory) const MAX: Self = Self::new(u64::MAX, u64::MAX);

    pub(in crate::memory) const fn new(millis: u64, sequence: u64) -> Self {
        Self { millis, sequence }
    }

    pub(in crate::memory) fn next(self) -> Option<Self> {
        match self.sequence.checked_add(1) {
            Some(sequence) => Some(Self::new(self.millis, sequence)),
            None => Some(Self::new(self.millis.checked_add(1)?, 0)),
        }
    }

    pub(in crate::memory) fn previous(self) -> Option<Self> {
        match self.sequence.checked_sub(1) {
            Some(sequence) => Some(Self::new(self.millis, sequence)),
            None => Some(Self::new(self.millis.checked_sub(1)?, u64::MAX)),
        }
    }

    pub(in crate::memory) fn to_bytes(self) -> Bytes {
        Bytes::from(self.to_string())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.sequence)
    }
}
