//! A snapshot of a consumer.

use crate::policy::consumer::Tally;

/// A snapshot of one consumer: [`Consumer::statistics`](crate::Consumer::statistics). The counters begin at 0 with the
/// consumer.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ConsumerStats {
    /// New entries of the stream that were delivered to this consumer.
    pub read: u64,
    /// Entries that were delivered before: to a consumer of this name when this one began, or to any one that had left
    /// them idle for [`claim_idle`](crate::ConsumerBuilder::claim_idle).
    pub claimed: u64,
    /// Handlers that ended well.
    pub handled: u64,
    /// Handlers that failed or panicked.
    pub failed: u64,
    /// Entries whose acknowledgement the server has confirmed.
    pub acknowledged: u64,
    /// Entries that this consumer moved to the dead letters, as far as the server has confirmed it.
    pub dead_lettered: u64,
    /// Entries that were pending, and had been deleted from the stream, for instance by `XTRIM`. They were not handled.
    pub trimmed: u64,
    /// Handlers that run.
    pub in_progress: usize,
    /// Entries that were delivered to this consumer and are not acknowledged yet, those in progress included.
    pub held: usize,
    /// The last error of a command of the consumer, until that command succeeds. It contains no secret.
    pub last_error: Option<String>,
}

impl ConsumerStats {
    pub(super) fn new(
        tally: Tally,
        in_progress: usize,
        held: usize,
        last_error: Option<String>,
    ) -> Self {
        Self {
            read: tally.read,
            claimed: tally.claimed,
            handled: tally.handled,
            failed: tally.failed,
            acknowledged: tally.acknowledged,
            dead_lettered: tally.dead_lettered,
            trimmed: tally.trimmed,
            in_progress,
            held,
            last_error,
        }
    }
}
