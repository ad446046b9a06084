//! How a caller wants commands to be run.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::MAX_WAIT;
use crate::policy::{command::Block, retry::Idempotence};

/// How a caller wants commands to be run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallOptions {
    /// From the call to its end, however many attempts it takes.
    pub(crate) timeout: Duration,
    /// The caller has set the timeout, so that it holds for commands too that wait by their nature.
    is_strict: bool,
    pub(crate) idempotence: Idempotence,
    /// When all has to end, if that was agreed before.
    until: Option<Instant>,
}

impl CallOptions {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            is_strict: false,
            idempotence: Idempotence::ByCommand,
            until: None,
        }
    }

    /// With a deadline for everything.
    pub(crate) fn with_timeout(self, timeout: Duration) -> Self {
        Self {
            timeout: timeout.min(MAX_WAIT),
            is_strict: true,
            ..self
        }
    }

    pub(crate) fn with_idempotence(self, idempotence: Idempotence) -> Self {
        Self {
            idempotence,
            ..self
        }
    }

    /// How long a command may take from `now` on whose server may keep it waiting: that long, and the
    /// timeout on top, unless the caller has set one.
    pub(super) fn time_limit(&self, block: Option<Block>) -> Duration {
        let block = match block {
            Some(_) if self.is_strict => Duration::ZERO,
            Some(Block::AtMost(wait)) => wait,
            Some(Block::Forever) => MAX_WAIT,
            None => Duration::ZERO,
        };
        (self.timeout + block).min(MAX_WAIT)
    }

    /// How long to wait for a connection of one's own.
    pub(super) fn acquire_timeout(&self, usual: Duration) -> Duration {
        match self.is_strict {
            true => usual.min(self.timeout),
            false => usual,
        }
    }

    /// All that is done on these options has the timeout from `now` on, however much it is.
    pub(crate) fn counted_from(self, now: Instant) -> Self {
        Self {
            until: Some(now + self.timeout),
            ..self
        }
    }

    /// The same, if the caller has set the timeout.
    pub(super) fn strictly_from(self, now: Instant) -> Self {
        match self.is_strict {
            true => self.counted_from(now),
            false => self,
        }
    }

    /// The end of something that may take so long from `now` on.
    pub(super) fn deadline(&self, now: Instant, patience: Duration) -> Instant {
        let usual = now + patience;
        self.until.map_or(usual, |until| until.min(usual))
    }
}
