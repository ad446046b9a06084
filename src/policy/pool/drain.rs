//! The end of a pool: it finishes what is under way, and when the grace is over it cuts short the rest.

use std::time::Instant;

use super::{Action, Places, Pool, Rejection, Waiter};

/// How far a pool is from its end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    Open,
    /// The pool finishes what is under way.
    Draining {
        deadline: Instant,
    },
    /// The grace is over: what is left was cut short, and has until this time to end.
    Forced {
        until: Instant,
    },
    Over,
}

impl Phase {
    pub(super) fn wake_at(self) -> Option<Instant> {
        match self {
            Self::Draining { deadline } => Some(deadline),
            Self::Forced { until } => Some(until),
            Self::Open | Self::Over => None,
        }
    }
}

impl<W: Waiter, P: Places, N> Pool<W, P, N> {
    /// A second drain can only shorten the grace of the first.
    pub(super) fn drain(&mut self, deadline: Instant, now: Instant) {
        if let Phase::Draining { deadline: first } = &mut self.phase {
            *first = deadline.min(*first);
            self.pass_drain(now);
        }
        if self.is_open() {
            self.phase = Phase::Draining { deadline };
            self.shared.drain();
            for waiter in self.leased.dismiss() {
                self.reject(waiter, Rejection::ShuttingDown);
            }
            // Before the shared connections are closed, over which the server is asked.
            self.end_leases(now);
        }
    }

    pub(super) fn pass_drain(&mut self, now: Instant) {
        match self.phase {
            Phase::Draining { deadline } if deadline <= now => {
                let until = now + self.limits.stop_patience;
                self.phase = Phase::Forced { until };
                self.parked = 0;
                self.actions.push_back(Action::RefuseParked);
                self.close_all();
                self.actions.push_back(Action::StopAll);
            }
            Phase::Forced { until } if until <= now => self.finish(),
            _ => {}
        }
    }

    /// Nothing is parked any more: each open connection ends when all its requests are answered.
    pub(super) fn advance_drain(&mut self) -> Option<Action<W, P::Place, N>> {
        self.close_all();
        if self.actions.is_empty() && self.ledger.is_empty() {
            self.finish();
        }
        self.actions.pop_front()
    }

    fn close_all(&mut self) {
        self.distrust_all();
        let dials = self.ledger.cancel_dials();
        self.actions
            .extend(dials.into_iter().map(Action::CancelDial));
    }

    fn finish(&mut self) {
        self.phase = Phase::Over;
        self.actions.push_back(Action::Finish);
    }
}
