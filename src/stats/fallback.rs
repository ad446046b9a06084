//! The statistics of a fallback.

use crate::events::Recovery;

/// What the [`Fallback`](crate::Fallback) of a database has done; all zero without one.
///
/// [`DatabaseStats::fallback`](crate::DatabaseStats::fallback) holds it. The sizes are those after the last command
/// that was served; between outages they are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FallbackStats {
    /// Calls that were served in place of the server. A pipeline counts as one. They are counted nowhere else,
    /// unless an attempt at the server had failed before.
    pub served: u64,
    /// Commands among them that got what the server was last seen to have: see
    /// [`stale_reads`](crate::Fallback::stale_reads).
    pub stale: u64,
    /// Keys in the store.
    pub entries: usize,
    /// Their size in bytes, as estimated.
    pub bytes: usize,
    /// Keys that have gone because of a [bound](crate::Fallback::max_entries) of the store.
    pub evicted: u64,
    /// Changes that are kept for the server.
    pub journal_entries: usize,
    /// Their size in bytes, as estimated.
    pub journal_bytes: usize,
    /// What has become of the writes of all outages so far.
    pub recovery: Recovery,
}
