//! How requests ended, counted for one batch.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::request::Reply;
use crate::stats::Counters;

/// Plain numbers, added to the shared counters once per batch, so that a command costs no
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

    pub(crate) fn add_to(self, counters: &Counters) {
        add(&counters.succeeded, self.succeeded);
        add(&counters.error_replies, self.error_replies);
        add(&counters.timed_out, self.timed_out);
        add(&counters.lost, self.lost);
        add(&counters.cancelled, self.cancelled);
        add(&counters.slow, self.slow);
        add(&counters.unanswered, self.unanswered);
    }
}

fn add(counter: &AtomicU64, amount: u64) {
    if amount > 0 {
        counter.fetch_add(amount, Relaxed);
    }
}
