//! Doubt about leased connections. A command that blocks on one says nothing while it waits, so it would wait
//! for ever if the server had gone without a word. Once the shared connections were lost and there is one
//! again, the server is asked which of the others it still knows.

use std::time::{Duration, Instant};

use super::{Action, Cut, Places, Pool, Waiter};

/// The question waits for so long after the server can be reached again: a server that has just come back has
/// enough to do, and the circuit closes meanwhile.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Each question without an answer doubles the pause, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

impl<W: Waiter, P: Places, N> Pool<W, P, N> {
    /// The server was lost, so the leased connections may be dead as well.
    pub(super) fn doubt(&mut self) {
        self.ledger.doubt();
        self.verify_at = None;
        self.verify_pause = FIRST_PAUSE;
    }

    /// The server can be reached again.
    pub(super) fn may_verify(&mut self, now: Instant) {
        if !self.ledger.doubted().is_empty() {
            self.verify_at.get_or_insert(now + FIRST_PAUSE);
        }
    }

    pub(super) fn pass_doubt(&mut self, now: Instant) {
        if self.verify_at.take_if(|at| *at <= now).is_some() {
            self.verify();
        }
    }

    pub(super) fn verify(&mut self) {
        if !self.is_forced() {
            let doubted = self.ledger.doubted();
            if !doubted.is_empty() {
                self.actions.push_back(Action::Verify(doubted));
            }
        }
    }

    /// Nothing will come on connections that the server does not know.
    pub(super) fn verified(&mut self, known: &[u64], disowned: &[u64]) {
        for id in known {
            self.ledger.trust(*id);
        }
        for id in disowned {
            if self.ledger.is_leased(*id) {
                self.cut(*id, Cut::Disowned);
            }
        }
    }

    /// The question has met a server that is busy, or a connection that broke. A worker that waits on a dead
    /// connection would sleep on, so it is repeated.
    pub(super) fn not_verified(&mut self, now: Instant) {
        // While no connection can be opened none is asked for, and the first one brings the question back.
        if !self.is_unreachable && !self.ledger.doubted().is_empty() {
            self.verify_at.get_or_insert(now + self.verify_pause);
            self.verify_pause = (2 * self.verify_pause).min(LONGEST_PAUSE);
        }
    }

    pub(super) fn cut(&mut self, id: u64, why: Cut) {
        self.ledger.close(id);
        self.actions.push_back(Action::Cut { id, why });
    }
}
