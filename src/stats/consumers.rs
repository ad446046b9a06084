//! The statistics of consumers of streams.

/// All [consumers](crate::Database::consumer) of streams of one database together, those that have ended included;
/// [`DatabaseStats::consumers`](crate::DatabaseStats::consumers) holds it. [`ConsumerStats`](crate::ConsumerStats) tells of
/// a single one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ConsumerTotals {
    /// The consumers that run.
    pub running: usize,
    /// Handlers that run.
    pub in_progress: usize,
    /// Entries that were delivered to the consumers that run, and are not acknowledged yet, those in progress included.
    /// Entries whose handler has failed are left to be taken over, and in no count meanwhile.
    pub held: usize,
    /// New entries that were delivered.
    pub read: u64,
    /// Entries that were delivered before, and were taken over.
    pub claimed: u64,
    /// Handlers that ended well.
    pub handled: u64,
    /// Handlers that failed or panicked.
    pub failed: u64,
    /// Entries whose acknowledgement the server has confirmed.
    pub acknowledged: u64,
    /// Entries that were moved to the dead letters.
    pub dead_lettered: u64,
    /// Entries that were pending, and had been deleted from the stream.
    pub trimmed: u64,
}
