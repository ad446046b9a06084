//! The errands of a consumer: what it asks the server for. There is one of each kind at a time.

use std::time::{Duration, Instant};

use crate::{events::Reason, policy::backoff::Backoff};

/// A kind of question to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Create the group.
    Prepare,
    Read,
    Claim,
    Acknowledge,
    Bury,
    Renew,
    Release,
    /// Delete the consumer.
    Leave,
}

/// Why an errand was in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The stream or its group does not exist.
    NoGroup,
    /// The server answers, or an operator has decided, and will do so again until something is changed.
    Refused,
    /// The server is away, or this process is over a limit.
    Unavailable,
    /// The answer was too large to be read.
    TooLarge,
    /// No later attempt can succeed.
    Final,
}

/// The course of one errand.
#[derive(Debug, Default)]
pub(super) struct Course {
    is_under_way: bool,
    not_before: Option<Instant>,
    backoff: Backoff,
}

impl Course {
    pub(super) fn may_begin(&self, now: Instant) -> bool {
        !self.is_under_way && self.not_before.is_none_or(|at| at <= now)
    }

    pub(super) fn begin(&mut self) {
        self.is_under_way = true;
        self.not_before = None;
    }

    pub(super) fn succeeded(&mut self) {
        self.is_under_way = false;
        self.backoff.reset();
    }

    pub(super) fn failed(&mut self, trouble: Trouble, now: Instant, jitter: f64) {
        let reason = match trouble {
            Trouble::Refused => Reason::Rejected,
            _ => Reason::Unreachable,
        };
        let pause: Duration = self.backoff.pause(reason, jitter);
        self.is_under_way = false;
        self.not_before = Some(now + pause);
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.is_under_way
    }

    pub(super) fn not_before(&self) -> Option<Instant> {
        self.not_before
    }
}
