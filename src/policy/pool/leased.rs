//! The leased lane: one caller at a time has a connection.

use std::time::Instant;

use super::{
    Action, Closing, Counts, Lane, Limits, Places, Pool, Rejection, State, WaitQueue, Waiter,
    shared::MAX_RETIRE_PAUSE,
};
use crate::{
    events::Reason,
    policy::{backoff::Backoff, pace::Pace},
};

/// The maximum of dials for leases at a time. A burst of callers is to wait for one dial and not for many in a row;
/// and the queue in which a server keeps connections that it has not accepted yet is not much longer, often 128 or 511.
pub(super) const MAX_DIALS: usize = 64;

/// The callers that wait for a connection, and the pauses of the dials for them.
pub(super) struct LeasedLane<W> {
    waiters: WaitQueue<W>,
    /// The maximum of dials at a time. After a failed one it is 1, and each success doubles it: a server that has just
    /// come back, or is nearly full, is not asked for everything at once.
    width: usize,
    /// After a failed dial, the time before which no other one is made.
    pause: Option<Instant>,
    backoff: Backoff,
    /// One of the connections seems to lead to the wrong server.
    are_suspect: bool,
    /// How often they are replaced for that.
    replacements: Pace,
}

impl<W: Waiter> LeasedLane<W> {
    pub(super) fn new(is_unreachable: bool) -> Self {
        Self {
            waiters: WaitQueue::new(),
            width: if is_unreachable { 1 } else { MAX_DIALS },
            pause: None,
            backoff: Backoff::default(),
            are_suspect: false,
            replacements: Pace::new(MAX_RETIRE_PAUSE),
        }
    }

    pub(super) fn wait(&mut self, waiter: W) {
        self.waiters.push(waiter);
    }

    /// The connection that the caller was to have had ended before: the caller is the first again.
    pub(super) fn wait_again(&mut self, waiter: W) {
        self.waiters.push_first(waiter);
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// Whether the maximum of callers waits, without those that have gone.
    pub(super) fn is_crowded(&mut self, limit: usize) -> bool {
        if self.waiters.len() >= limit {
            self.waiters.forget_gone_at_times();
        }
        self.waiters.len() >= limit
    }

    pub(super) fn forget_gone(&mut self) {
        self.waiters.forget_gone();
    }

    /// The caller that has waited longest, if a connection is there for it.
    pub(super) fn first(&mut self, has_idle: bool) -> Option<W> {
        self.waiters.skip_gone();
        has_idle.then(|| self.waiters.pop()).flatten()
    }

    /// The callers whose deadlines have passed, once the first of them has.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<W> {
        self.waiters.expire(now)
    }

    pub(super) fn dismiss(&mut self) -> Vec<W> {
        self.waiters.dismiss()
    }

    /// Whether another connection is to be opened: for the callers that wait, or for later ones.
    pub(super) fn wants_dial(&self, counts: &Counts, limits: &Limits) -> bool {
        let opening = counts.of(Lane::Leased, State::Opening);
        let serving = counts.of(Lane::Shared, State::InUse);
        let ready = serving
            + counts.of(Lane::Shared, State::Opening)
            + counts.of(Lane::Leased, State::Idle)
            + opening;
        let for_waiters = self.waiters.len() > opening;
        // A shared one comes first, and shows that the server is there.
        let for_later = ready < limits.min_idle && serving > 0;
        self.pause.is_none() && opening < self.width && (for_waiters || for_later)
    }

    /// A dial has succeeded.
    pub(super) fn opened(&mut self) {
        self.width = (self.width * 2).min(MAX_DIALS);
    }

    /// The server could not be reached, so that many clients may come back to it at the same time.
    pub(super) fn start_slowly(&mut self) {
        self.width = 1;
    }

    /// A dial has failed, or a connection broke soon after it was opened.
    pub(super) fn failed(&mut self, reason: Reason, now: Instant, jitter: f64) {
        self.start_slowly();
        if self.pause.is_none() {
            self.pause = Some(now + self.backoff.pause(reason, jitter));
        }
    }

    /// A leased connection was of use, so the next pause is a short one.
    pub(super) fn succeeded(&mut self) {
        self.backoff.reset();
    }

    /// Whether the connections are to be replaced now, because one of them is suspect.
    fn takes_suspicion(&mut self, now: Instant) -> bool {
        let takes = self.are_suspect && self.replacements.allows(now);
        self.are_suspect &= !takes;
        takes
    }

    /// What has failed before says nothing any more.
    pub(super) fn begin_anew(&mut self) {
        self.pause = None;
        self.backoff.reset();
    }

    /// The pause may be over.
    pub(super) fn pass(&mut self, now: Instant) {
        self.pause = self.pause.filter(|until| *until > now);
    }

    pub(super) fn wake_at(&self) -> impl Iterator<Item = Instant> {
        self.waiters.wake_at().into_iter().chain(self.pause)
    }
}

impl<W: Waiter, P: Places, N> Pool<W, P, N> {
    pub(super) fn acquired(&mut self, waiter: W) {
        if self.is_draining() {
            self.reject(waiter, Rejection::ShuttingDown);
        } else if self.leased.is_crowded(self.limits.max_waiting) {
            self.reject(waiter, Rejection::TooManyWait);
        } else {
            self.leased.wait(waiter);
        }
    }

    pub(super) fn reject(&mut self, waiter: W, why: Rejection) {
        self.actions.push_back(Action::Reject { waiter, why });
    }

    pub(super) fn hand_over(&mut self) -> Option<Action<W, P::Place, N>> {
        let waiter = self.leased.first(self.ledger.has_idle())?;
        let id = self.ledger.lend().expect("BUG: one is idle");
        Some(Action::HandOver { id, waiter })
    }

    pub(super) fn open_leased(&mut self) -> Option<Action<W, P::Place, N>> {
        let counts = self.ledger.counts();
        if self.is_unreachable
            || self.serves_as_before()
            || !self.leased.wants_dial(&counts, &self.limits)
        {
            return None;
        }
        // Callers that have gone need no connection.
        self.leased.forget_gone();
        if !self.leased.wants_dial(&counts, &self.limits) {
            return None;
        }
        let (id, place) = self.ledger.request(Lane::Leased)?;
        Some(Action::Dial { id, place })
    }

    /// A lease that is over has met a server that is perhaps not the right one. What is known of a connection that is not trusted
    /// any more says nothing of the others.
    pub(super) fn suspected(&mut self, id: u64, now: Instant) {
        if self.ledger.is_trusted_for_leases(id) {
            self.leased.are_suspect = true;
            self.replace_suspects(now);
        }
    }

    /// All leased connections lead to the same server, so all are replaced, but not for each lease: new ones may lead there as
    /// well. Before the pause is over they go to the next callers, and the first one after it has them replaced.
    pub(super) fn replace_suspects(&mut self, now: Instant) {
        if self.is_open() && self.leased.takes_suspicion(now) {
            for idle in self.ledger.distrust_leased() {
                self.close(idle, Closing::Discarded);
            }
        }
    }

    pub(super) fn released(&mut self, id: u64, is_clean: bool, is_open: bool, now: Instant) {
        if !self.ledger.is_leased(id) {
            // It was cut, or has ended.
            return;
        }
        let given_back = if is_clean && self.is_open() {
            self.leased.succeeded();
            self.ledger.give_back(id, now, &self.limits)
        } else {
            self.ledger.close(id);
            Err(None)
        };
        // Where it has ended by itself, that is told later, and why.
        if let (Err(eviction), true) = (given_back, is_open) {
            self.close(id, eviction.map_or(Closing::Discarded, Closing::Evicted));
        }
    }
}
