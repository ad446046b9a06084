//! The time that a healthy reply may take, which is longer while the server is under maintenance.

use std::time::Duration;

use tokio::time::Instant;

use super::{Connection, SLOW_SHARE};
use crate::{config::DatabaseSettings, maintenance::Works, net::request::Request};

/// By how much the limits of a connection are extended during maintenance. A timer that fires looks whether they are, so
/// a command whose reply comes in time does not pay for it.
#[derive(Debug)]
pub(super) struct Relaxation {
    /// A command is slow so much later than otherwise.
    slow: Duration,
    /// The peer may be silent for so much longer than otherwise.
    silence: Duration,
    /// This crate's own questions wait so much longer for their answers, which are evidence as well.
    own: Duration,
    /// How long they wait otherwise.
    attempt_timeout: Duration,
    is_active: bool,
    /// What the server has announced on this connection.
    pub(super) works: Works,
}

impl Relaxation {
    pub(super) fn new(settings: &DatabaseSettings) -> Self {
        let longer = settings
            .relaxed_timeout
            .saturating_sub(settings.attempt_timeout);
        Self {
            slow: longer.mul_f64(SLOW_SHARE),
            silence: 2 * longer,
            own: longer,
            attempt_timeout: settings.attempt_timeout,
            is_active: false,
            works: Works::default(),
        }
    }
}

impl Connection {
    /// When the deadline of a request passes that was not written.
    pub(super) fn end_of(&self, request: &Request) -> Instant {
        if self.relaxation.is_active && request.responder.is_own() {
            request.deadline + self.relaxation.own
        } else {
            request.deadline
        }
    }

    /// Extends the limits, or no longer. Commands that wait when maintenance ends have the usual time from then on.
    pub(super) fn look_at_maintenance(&mut self, now: Instant) {
        let is_active = self.activity.is_relaxed(now);
        if is_active == self.relaxation.is_active {
            return;
        }
        self.relaxation.is_active = is_active;
        if is_active {
            let Relaxation { slow, own, .. } = self.relaxation;
            self.pending.extend(slow, own);
            self.silence.extend(self.relaxation.silence);
        } else {
            let own_until = now + self.relaxation.attempt_timeout;
            self.pending.end_extension(own_until);
            self.silence.extend(Duration::ZERO);
            self.pending.postpone_slow(now + self.slow);
            self.silence.begin_again(now);
        }
    }
}
