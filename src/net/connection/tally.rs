//! How requests ended, counted for one batch.

use std::fmt;

use crate::net::request::Reply;

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
    /// Slow, and without a caller that would report it.
    pub(crate) unanswered: u64,
}

impl Tally {
    /// Where a reply counts, if its caller is still there.
    pub(crate) fn of_reply(&mut self, reply: &Reply) -> &mut u64 {
        match reply.has_error() {
            true => &mut self.error_replies,
            false => &mut self.succeeded,
        }
    }
}

/// Where a connection adds what it has counted, once per turn.
pub(crate) trait TallySink: fmt::Debug + Send + Sync + 'static {
    fn add(&self, tally: Tally);
}
