//! The counts of ended requests of one batch.

use std::fmt;

use tokio::time::Instant;

use super::latencies::Latencies;
use crate::net::{
    reply::Reply,
    request::{Failure, Responder},
};

/// Plain numbers, added to the counters of the database once per batch, so that a command costs no
/// atomic operation of its own.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) succeeded: u64,
    pub(crate) error_replies: u64,
    pub(crate) timed_out: u64,
    pub(crate) lost: u64,
    pub(crate) cancelled: u64,
    pub(crate) slow: u64,
    /// Slow, and without a caller that could report it.
    pub(crate) unanswered: u64,
    /// Those of them whose caller has gone, so that no other number of failed calls has them.
    pub(crate) abandoned: u64,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) latencies: Latencies,
    now: Option<Instant>,
}

impl Tally {
    /// The time of the turn: the clock is read once, when it is asked for first.
    #[inline]
    pub(super) fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(Instant::now)
    }

    /// Notes the latency of a reply to a request that was made then.
    #[inline]
    pub(super) fn answered(&mut self, began: Instant) {
        if !self.latencies.record_like_last(began) {
            let now = self.now();
            self.latencies.record(began, now);
        }
    }

    /// Counts the end of a request by `counter`, or as cancelled if its caller had gone. A request of this
    /// crate's own is not counted.
    #[inline]
    pub(crate) fn count(
        &mut self,
        responder: &Responder,
        has_told: bool,
        counter: impl FnOnce(&mut Self) -> &mut u64,
    ) {
        if responder.is_own() {
            return;
        }
        let counter = if has_told {
            counter(self)
        } else {
            &mut self.cancelled
        };
        *counter += 1;
    }

    /// The counter for a reply whose caller still waits. A reply that exceeds a limit is an error for it.
    pub(crate) fn counter_for(
        reply: &Result<Reply, Failure>,
    ) -> impl FnOnce(&mut Self) -> &mut u64 + use<> {
        let has_succeeded = matches!(reply, Ok(reply) if !reply.has_error());
        move |tally| {
            if has_succeeded {
                &mut tally.succeeded
            } else {
                &mut tally.error_replies
            }
        }
    }
}

/// Takes the counts of a connection, once per turn.
pub(crate) trait TallySink: fmt::Debug + Send + Sync + 'static {
    fn add(&self, tally: &Tally);
}
