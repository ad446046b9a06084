//! Whose numbers those of events are.

use std::fmt;

/// Tells the numbers of one supervisor from those of another, also of another process. Each default is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run(pub(super) u64);

impl Default for Run {
    fn default() -> Self {
        Self(fastrand::u64(..))
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
