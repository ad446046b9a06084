//! The counts of ended requests of one batch.

use std::fmt;

use crate::net::request::{Failure, Reply};

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
}

impl Tally {
    /// The counter for a reply whose caller still waits. A reply that exceeds a limit is an error for it.
    pub(crate) fn counter_for(&mut self, reply: &Result<Reply, Failure>) -> &mut u64 {
        match reply {
            Ok(reply) if !reply.has_error() => &mut self.succeeded,
            _ => &mut self.error_replies,
        }
    }
}

/// Takes the counts of a connection, once per turn.
pub(crate) trait TallySink: fmt::Debug + Send + Sync + 'static {
    fn add(&self, tally: Tally);
}
