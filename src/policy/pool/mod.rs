//! The pool of one database, as a machine: events go in, actions come out. It opens the connections that
//! all callers share, lends the others, closes connections that are not needed, and ends in good order.
//!
//! It has no clock, no dice and no sockets. Its shell, the pool actor, tells it what has happened by
//! [`Pool::on`], then carries out the actions of [`Pool::poll`] until there is none, and wakes it at
//! [`Pool::wake_at`].

mod doubt;
mod drain;
mod entry;
mod interface;
mod lease_shutdown;
mod leased;
mod ledger;
mod life;
mod moved;
mod places;
mod queue;
mod renewal;
mod shared;

pub(crate) use interface::{Action, Closing, Cut, Event, Eviction, Occupation, Rejection};
pub(crate) use places::{Counts, Lane, Place, Places, State};
pub(crate) use queue::{WaitQueue, Waiter};

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use self::{
    drain::Phase, lease_shutdown::LeaseShutdown, leased::LeasedLane, ledger::Ledger,
    shared::SharedLane,
};

/// Connections that a crashed pool has left take up room, and their ends are not told to its successor.
/// So it looks again after this pause.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The limits of a pool, by its settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The number of connections that stay open though they are not used, shared ones included.
    pub(crate) min_idle: usize,
    pub(crate) min_shared: usize,
    pub(crate) max_shared: usize,
    /// The maximum of callers that wait for a connection of their own.
    pub(crate) max_waiting: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) sweep_interval: Duration,
    /// How long connections may take to end when the grace of a drain is over.
    pub(crate) stop_patience: Duration,
}

/// The pool of one database. `W` waits for a connection, `P` has the places for connections, and `N` is
/// evidence for the health actor.
pub(crate) struct Pool<W, P: Places, N> {
    limits: Limits,
    ledger: Ledger<P>,
    shared: SharedLane,
    leased: LeasedLane<W>,
    /// When to ask the server which leased connections it knows.
    verify_at: Option<Instant>,
    /// How long to wait before it is asked again, if it does not answer.
    verify_pause: Duration,
    lease_shutdown: LeaseShutdown,
    /// There may be connections beyond the limits, which have become smaller.
    is_shrinking: bool,
    /// Requests that wait in the shell for a shared connection.
    parked: usize,
    /// No connection could be opened, and the health actor says when to try again.
    is_unreachable: bool,
    /// When to look whether connections of a crashed pool have ended.
    look_again: Option<Instant>,
    phase: Phase,
    /// Connections that the last sweep took out of service.
    swept: usize,
    /// Actions that are decided and not handed to the shell yet.
    actions: VecDeque<Action<W, P::Place, N>>,
}

impl<W: Waiter, P: Places, N> Pool<W, P, N> {
    /// Where a predecessor has told the health actor that the server `is_unreachable`, this waits for
    /// the answer.
    pub(crate) fn new(limits: Limits, places: P, is_unreachable: bool) -> Self {
        Self {
            limits,
            ledger: Ledger::new(places),
            shared: SharedLane::default(),
            leased: LeasedLane::new(is_unreachable),
            verify_at: None,
            verify_pause: doubt::FIRST_PAUSE,
            lease_shutdown: LeaseShutdown::default(),
            is_shrinking: false,
            parked: 0,
            is_unreachable,
            look_again: None,
            phase: Phase::Open,
            swept: 0,
            actions: VecDeque::new(),
        }
    }

    /// Takes an event. `jitter` is a random number from 0 to 1.
    pub(crate) fn on(&mut self, event: Event<W, N>, now: Instant, jitter: f64) {
        self.pass(now);
        match event {
            Event::Started => self.shared.ask(),
            Event::Woken => {}
            Event::Acquired(waiter) => {
                // The pause may be over.
                self.replace_suspects(now);
                self.acquired(waiter);
            }
            Event::NotHandedOver { id, waiter } => {
                self.ledger.close(id);
                self.leased.wait_again(waiter);
            }
            Event::Released {
                id,
                is_clean,
                is_suspect,
                is_open,
            } => {
                if is_suspect {
                    self.suspected(id, now);
                }
                self.released(id, is_clean, is_open, now);
            }
            Event::Parked(requests) => self.parked = requests,
            Event::Opened { id, evidence } => self.opened(id, evidence, now, jitter),
            Event::DialFailed {
                id,
                reason,
                evidence,
            } => {
                self.dial_failed(id, reason, evidence, now, jitter);
            }
            Event::DialDropped(id) => {
                if self.ledger.not_opened(id) == Some(Lane::Shared) && self.is_open() {
                    self.shared.ask();
                }
            }
            Event::ConnectionEnded {
                id,
                is_lost,
                evidence,
            } => self.ended(id, is_lost, evidence, now, jitter),
            Event::Saturated => self.saturated(now),
            Event::Swept => self.sweep(now),
            Event::Distrusted { only } => self.distrusted(only, now),
            Event::Moved { stale } => self.moved(&stale),
            Event::HandOff => self.hand_off(),
            Event::LeftBehind(leased) => self.left_behind(&leased),
            Event::Redial { at } => self.shared.ask_at(at),
            Event::Verified { known, disowned } => self.verified(&known, &disowned),
            Event::NotVerified => self.not_verified(now),
            Event::Reconfigured { limits, renews } => self.reconfigured(limits, renews),
            Event::Leases(leases) => self.note_leases(leases, now),
            Event::Drain { deadline } => self.drain(deadline, now),
        }
    }

    /// The next action. The shell asks until there is none.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Action<W, P::Place, N>> {
        if self.is_open() {
            self.end_renewal_in_vain();
            self.shrink();
        }
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        let action = match self.phase {
            // A caller that waits gets an idle connection before that could be displaced.
            Phase::Open => self
                .hand_over()
                .or_else(|| self.fill_shared(now))
                .or_else(|| self.open_leased()),
            Phase::Draining { .. } if self.parked > 0 => self.fill_shared(now),
            Phase::Draining { .. } | Phase::Forced { .. } => self.advance_drain(),
            Phase::Over => None,
        };
        if action.is_none() {
            self.look_again_for_orphans(now);
        }
        action
    }

    /// When the shell is to send [`Event::Woken`], if no other event comes before.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let lanes = self.leased.wake_at().chain(self.shared.wake_at());
        let others = self.look_again.into_iter().chain(self.phase.wake_at());
        let all = lanes.chain(others).chain(self.verify_at);
        match self.phase {
            Phase::Draining { .. } => all.chain(self.lease_shutdown.wake_at()).min(),
            Phase::Open | Phase::Forced { .. } => all.min(),
            Phase::Over => None,
        }
    }

    /// Notes when a shared connection was last used. The shell tells it before each event.
    pub(crate) fn used(&mut self, id: u64, last: Instant) {
        self.ledger.used(id, last);
    }

    /// The shared connections in service, the oldest first.
    pub(crate) fn serving(&self) -> &[u64] {
        self.ledger.serving()
    }

    /// Callers that wait for a connection of their own.
    pub(crate) fn waiting(&self) -> usize {
        self.leased.waiting()
    }

    /// Connections that the last sweep took out of service.
    pub(crate) fn swept(&self) -> usize {
        self.swept
    }

    /// Whether the result of this dial is of use.
    pub(crate) fn wants(&self, id: u64) -> bool {
        match (self.phase, self.ledger.dialled_for(id)) {
            _ if self.ledger.is_dial_outdated(id) => false,
            (Phase::Open, Some(_)) => true,
            (Phase::Draining { .. }, Some(Lane::Shared)) => self.parked > 0,
            _ => false,
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        !self.is_open()
    }

    /// The grace of the drain is over.
    pub(crate) fn is_forced(&self) -> bool {
        matches!(self.phase, Phase::Forced { .. } | Phase::Over)
    }

    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// What was due by now has come.
    fn pass(&mut self, now: Instant) {
        self.shared.pass(now);
        self.leased.pass(now);
        self.look_again = self.look_again.filter(|at| *at > now);
        for waiter in self.leased.expire(now) {
            self.reject(waiter, Rejection::TimedOut);
        }
        self.pass_doubt(now);
        self.pass_drain(now);
    }

    fn look_again_for_orphans(&mut self, now: Instant) {
        let is_in_want = match self.phase {
            Phase::Open => self.waiting() > 0 || self.serving().is_empty(),
            Phase::Draining { .. } => self.parked > 0,
            Phase::Forced { .. } | Phase::Over => false,
        };
        if !is_in_want || !self.ledger.has_orphans() {
            self.look_again = None;
        } else if self.look_again.is_none() {
            self.look_again = Some(now + LOOK_AGAIN);
        }
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod model;

#[cfg(test)]
#[path = "world_tests.rs"]
mod world;

#[cfg(test)]
#[path = "happenings_tests.rs"]
mod happenings;

#[cfg(test)]
#[path = "leases_tests.rs"]
mod leases;

#[cfg(test)]
#[path = "judge_tests.rs"]
mod judge;

#[cfg(test)]
#[path = "rest_tests.rs"]
mod rest;

#[cfg(test)]
#[path = "settling_tests.rs"]
mod settling;
