//! How a caller wants commands to be run.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    config::MAX_WAIT,
    policy::{command::Block, retry::Idempotence},
    state::CallSettings,
};

/// What the caller of a handle has set; everything else follows the settings of the database.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Overrides {
    /// From the call to its end, however many attempts it takes. It holds for commands too that wait by
    /// their nature.
    pub(crate) timeout: Option<Duration>,
    pub(crate) idempotence: Idempotence,
}

impl Overrides {
    /// With a deadline for everything.
    pub(crate) fn with_timeout(self, timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout.min(MAX_WAIT)),
            ..self
        }
    }

    pub(crate) fn with_idempotence(self, idempotence: Idempotence) -> Self {
        Self {
            idempotence,
            ..self
        }
    }
}

/// How one call is run: the caller's overrides, and the settings at the time of the call. They are read
/// once, so that no call sees the settings of two generations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallOptions {
    /// From the call to its end, however many attempts it takes.
    pub(crate) timeout: Duration,
    /// The caller has set the timeout, so that it holds for commands too that wait by their nature.
    is_strict: bool,
    pub(super) allow_admin: bool,
    pub(super) idempotence: Idempotence,
    /// When all has to end, if that was agreed before.
    until: Option<Instant>,
}

impl CallOptions {
    pub(super) fn new(settings: CallSettings, overrides: Overrides) -> Self {
        Self {
            timeout: overrides.timeout.unwrap_or(settings.command_timeout),
            is_strict: overrides.timeout.is_some(),
            allow_admin: settings.allow_admin,
            idempotence: overrides.idempotence,
            until: None,
        }
    }

    /// How long a command may take whose server may keep it waiting: that long, and the timeout on top,
    /// unless the caller has set one.
    pub(super) fn time_limit(&self, block: Option<Block>) -> Duration {
        let block = match block {
            Some(_) if self.is_strict => Duration::ZERO,
            Some(Block::AtMost(wait)) => wait,
            Some(Block::Forever) => MAX_WAIT,
            None => Duration::ZERO,
        };
        (self.timeout + block).min(MAX_WAIT)
    }

    /// How long to wait for a connection of one's own, which usually is the acquire timeout.
    pub(crate) fn acquire_timeout(&self, usual: Duration) -> Duration {
        if self.is_strict {
            usual.min(self.timeout)
        } else {
            usual
        }
    }

    /// All that is done on these options has the timeout from `now` on, however much it is.
    pub(crate) fn counted_from(self, now: Instant) -> Self {
        Self {
            until: Some(self.end(now)),
            ..self
        }
    }

    /// The same, if the caller has set the timeout.
    pub(super) fn strictly_from(self, now: Instant) -> Self {
        if self.is_strict {
            self.counted_from(now)
        } else {
            self
        }
    }

    /// The end of a command that does not block.
    #[inline]
    pub(super) fn end(&self, now: Instant) -> Instant {
        match self.until {
            None => now + self.timeout,
            Some(until) => until.min(now + self.timeout),
        }
    }

    /// The end of something that may take so long from `now` on.
    pub(super) fn deadline(&self, now: Instant, limit: Duration) -> Instant {
        let usual = now + limit;
        self.until.map_or(usual, |until| until.min(usual))
    }
}
