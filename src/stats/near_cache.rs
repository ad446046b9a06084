//! The figures of a near cache.

/// What is known of the near cache of a database; [`DatabaseStats::near_cache`](crate::DatabaseStats::near_cache) has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct NearCacheStats {
    /// Whether there is a connection that tracks what is read on it. Without one, all reads go to the server.
    pub is_tracking: bool,
    /// Why there is none, or was none the last time that one was tried. It contains no secret.
    pub trouble: Option<String>,
    /// The keys of which replies are kept.
    pub entries: u64,
    /// About the memory of all that, in bytes.
    pub bytes: u64,
    /// Reads that were answered from memory.
    pub hits: u64,
    /// Reads that could have been, and found nothing.
    pub misses: u64,
    /// Keys that had to make room for others.
    pub evictions: u64,
    /// Keys that the server has said to have changed; a whole database that was emptied is one.
    pub invalidations: u64,
}

impl NearCacheStats {
    /// What happened after an earlier snapshot, and the present state.
    pub(crate) fn since(&self, earlier: Option<&Self>) -> Self {
        let Some(earlier) = earlier else {
            return self.clone();
        };
        Self {
            hits: self.hits.saturating_sub(earlier.hits),
            misses: self.misses.saturating_sub(earlier.misses),
            evictions: self.evictions.saturating_sub(earlier.evictions),
            invalidations: self.invalidations.saturating_sub(earlier.invalidations),
            ..self.clone()
        }
    }

    /// Share of the reads that were answered from memory, from 0 to 1; `None` before the first.
    pub fn hit_rate(&self) -> Option<f64> {
        let reads = self.hits + self.misses;
        (reads > 0).then(|| self.hits as f64 / reads as f64)
    }
}
