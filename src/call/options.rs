//! The options of a call: the caller's overrides, and the settings.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    config::MAX_WAIT,
    policy::{command::Block, gate_state::GateState, retry::Idempotence, slots::Slot},
    span,
    state::CallSettings,
};

/// The options that the caller of a handle has set; all others follow the settings of the database.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Overrides {
    /// From the call to its end, however many attempts it takes. It also holds for blocking commands.
    pub(crate) timeout: Option<Duration>,
    pub(crate) idempotence: Idempotence,
    /// Whether calls wait while the database is down.
    pub(crate) is_patient: Option<bool>,
    /// Whether error texts of the server come as they are, with what they quote of the command.
    pub(crate) keeps_texts: bool,
    /// Whether replies may come from the near cache.
    pub(crate) has_near_cache: bool,
}

impl Overrides {
    /// With a timeout that holds for all commands, blocking ones included.
    pub(crate) fn with_timeout(self, timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout.min(MAX_WAIT)),
            ..self
        }
    }

    pub(crate) fn with_patience(self, is_patient: bool) -> Self {
        Self {
            is_patient: Some(is_patient),
            ..self
        }
    }

    /// For a caller that hands the server's answers to whoever sent the command.
    pub(crate) fn with_texts(self) -> Self {
        Self {
            keeps_texts: true,
            ..self
        }
    }

    pub(crate) fn with_near_cache(self) -> Self {
        Self {
            has_near_cache: true,
            ..self
        }
    }

    pub(crate) fn without_near_cache(self) -> Self {
        Self {
            has_near_cache: false,
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

/// The options of one call: the caller's overrides, and the settings at the time of the call. Both are
/// read once, so that no call sees the settings of two generations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallOptions {
    /// From the call to its end, however many attempts it takes.
    pub(crate) timeout: Duration,
    /// The caller has set the timeout, so it also holds for blocking commands.
    is_strict: bool,
    pub(super) allow_admin: bool,
    pub(super) idempotence: Idempotence,
    /// The call waits while the database is down.
    pub(super) is_patient: bool,
    pub(super) keeps_texts: bool,
    /// No store in this process stands in for the server, since another server may serve the call.
    pub(super) has_other_place: bool,
    /// Replies may come from the near cache.
    pub(super) has_near_cache: bool,
    /// It runs at the nodes of its keys.
    pub(super) is_in_cluster: bool,
    /// Values that it reads or writes are remembered for a later outage.
    pub(super) remembers: bool,
    /// Its values are remembered by whoever makes the call.
    pub(super) is_watched: bool,
    /// The call is in a span.
    is_traced: bool,
    /// A deadline for several calls together, if one was set before.
    until: Option<Instant>,
    /// The call has begun then.
    pub(super) began: Option<Instant>,
    /// The slot that has just come to its node, where calls that were made before for it may have to come first.
    pub(super) behind: Option<Slot>,
}

impl CallOptions {
    pub(super) fn new(settings: CallSettings, overrides: Overrides) -> Self {
        Self {
            timeout: overrides.timeout.unwrap_or(settings.command_timeout),
            is_strict: overrides.timeout.is_some(),
            allow_admin: settings.allow_admin,
            idempotence: overrides.idempotence,
            is_patient: overrides.is_patient.unwrap_or(settings.is_patient),
            keeps_texts: overrides.keeps_texts,
            has_other_place: false,
            has_near_cache: overrides.has_near_cache,
            is_in_cluster: settings.is_cluster,
            remembers: settings.remembers,
            is_watched: false,
            is_traced: false,
            until: None,
            began: None,
            behind: None,
        }
    }

    /// The same, with a timeout of at most this.
    pub(crate) fn at_most(self, timeout: Duration) -> Self {
        Self {
            timeout: self.timeout.min(timeout),
            ..self
        }
    }

    /// Whether the call waits at a gate in this state.
    #[inline]
    pub(super) fn waits_for(&self, closed: GateState) -> bool {
        match closed {
            GateState::Free | GateState::Trial { .. } => true,
            GateState::Open => self.is_patient,
            GateState::ShuttingDown
            | GateState::Failed
            | GateState::Isolated
            | GateState::Removed => false,
        }
    }

    /// The time limit of a command: the timeout, plus the time that the server may block it. A timeout set
    /// by the caller is the limit of both together.
    pub(super) fn time_limit(&self, block: Option<Block>) -> Duration {
        let block = match block {
            Some(_) if self.is_strict => Duration::ZERO,
            Some(Block::AtMost(wait)) => wait,
            Some(Block::Forever) => MAX_WAIT,
            None => Duration::ZERO,
        };
        (self.timeout + block).min(MAX_WAIT)
    }

    /// The longest wait for an exclusive connection; `usual` is that of the settings.
    pub(crate) fn acquire_timeout(&self, usual: Duration) -> Duration {
        if self.is_strict {
            usual.min(self.timeout)
        } else {
            usual
        }
    }

    /// What is left after a question about the call's commands that `began` then. A command that blocks by
    /// its nature has the whole of its time after the question, unless the caller has set a timeout.
    pub(super) fn after_question(self, began: Option<Instant>, block: Option<Block>) -> Self {
        match began {
            Some(began) if self.is_strict || block.is_none() => self.counted_from(began),
            _ => self,
        }
    }

    /// The same, at the server.
    pub(super) fn without_near_cache(self) -> Self {
        Self {
            has_near_cache: false,
            ..self
        }
    }

    /// Whether the timeout is the caller's own, which holds for all that the call does.
    pub(super) fn is_strict(&self) -> bool {
        self.is_strict
    }

    /// The same, for a node of the cluster.
    pub(crate) fn at_node(self) -> Self {
        Self {
            is_in_cluster: false,
            ..self
        }
    }

    /// The same, watched.
    pub(super) fn watched(self) -> Self {
        Self {
            is_watched: true,
            ..self
        }
    }

    /// The same, in a span.
    pub(super) fn traced(self) -> Self {
        Self {
            is_traced: true,
            ..self
        }
    }

    /// Whether the values of the call are to be remembered, and are not yet.
    #[inline]
    pub(super) fn is_to_be_watched(&self) -> bool {
        self.remembers && !self.is_watched
    }

    /// Whether a span is to be opened for the call.
    #[inline]
    pub(super) fn is_to_be_traced(&self) -> bool {
        span::is_wanted() && !self.is_traced
    }

    /// With this deadline, unless the call may block for longer.
    pub(super) fn ending_unless(self, deadline: Instant, may_block: bool) -> Self {
        if may_block {
            self
        } else {
            self.ending(deadline)
        }
    }

    /// With this deadline for all attempts of one call.
    pub(super) fn ending(self, deadline: Instant) -> Self {
        Self {
            until: Some(deadline),
            ..self
        }
    }

    /// A call that begins now.
    pub(super) fn beginning(self, now: Instant) -> Self {
        Self {
            began: Some(now),
            ..self.counted_from(now)
        }
    }

    /// The same for a later attempt of the call.
    pub(super) fn begun(self) -> Self {
        Self {
            began: None,
            ..self
        }
    }

    /// One timeout from `now` on for all calls under these options together.
    pub(crate) fn counted_from(self, now: Instant) -> Self {
        Self {
            until: Some(self.end(now)),
            ..self
        }
    }

    /// The same, if the caller has set the timeout; otherwise unchanged.
    pub(super) fn strictly_from(self, now: Instant) -> Self {
        if self.is_strict {
            self.counted_from(now)
        } else {
            self
        }
    }

    /// The deadline of a command that does not block.
    #[inline]
    pub(super) fn end(&self, now: Instant) -> Instant {
        match self.until {
            None => now + self.timeout,
            Some(until) => until.min(now + self.timeout),
        }
    }

    /// The deadline of a call that may take so long from `now` on.
    pub(super) fn deadline(&self, now: Instant, limit: Duration) -> Instant {
        let usual = now + limit;
        self.until.map_or(usual, |until| until.min(usual))
    }
}
