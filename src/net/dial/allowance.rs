//! The time of a dial.

use std::time::Duration;

use tokio::time::Instant;

use super::error::DialError;
use crate::config::DatabaseSettings;

/// The time that a dial has.
#[derive(Clone, Copy)]
pub(super) struct Allowance {
    pub(super) limit: Duration,
    pub(super) deadline: Instant,
}

impl Allowance {
    pub(super) fn of(settings: &DatabaseSettings) -> Self {
        let limit = settings.connect_timeout;
        Self {
            limit,
            deadline: Instant::now() + limit,
        }
    }

    pub(super) fn half_of_rest(&self) -> Instant {
        let now = Instant::now();
        now + self.deadline.saturating_duration_since(now) / 2
    }

    /// A part of what is left, if so many others are to be tried in the same time. That is at least a quarter, since most
    /// of those that are down refuse at once.
    pub(super) fn share(self, others: usize) -> Self {
        let now = Instant::now();
        let rest = self.deadline.saturating_duration_since(now);
        let part = rest / (others.min(3) as u32 + 1);
        Self {
            limit: self.limit,
            deadline: now + part,
        }
    }

    /// The least part.
    pub(super) fn quarter(self) -> Self {
        self.share(3)
    }

    pub(super) fn over(&self, step: &'static str) -> DialError {
        let limit = self.limit;
        DialError::TimedOut { step, limit }
    }
}
