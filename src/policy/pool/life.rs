//! The life of a connection: it opens or fails to, becomes idle or old, is taken out of service, and ends.

use std::time::Instant;

use super::{Action, Closing, Eviction, Lane, Places, Pool, Waiter, shared::STABLE_AFTER};
use crate::events::Reason;

impl<W: Waiter, P: Places, N> Pool<W, P, N> {
    pub(super) fn opened(&mut self, id: u64, evidence: N, now: Instant, jitter: f64) {
        match self.ledger.opened(id, now, jitter) {
            Some(Lane::Shared) => {}
            Some(Lane::Leased) => return self.leased.opened(),
            None => return,
        }
        self.is_unreachable = false;
        self.may_verify(now);
        self.send_parked(id);
        for (old, why) in self.shared.replaced() {
            self.close(old, Closing::Evicted(why));
        }
        self.take_over();
        self.publish();
        self.actions.push_back(Action::Report(evidence));
        self.shared.ask();
    }

    pub(super) fn dial_failed(
        &mut self,
        id: u64,
        reason: Reason,
        evidence: N,
        now: Instant,
        jitter: f64,
    ) {
        match self.ledger.not_opened(id) {
            Some(Lane::Shared) if self.serving().is_empty() => {
                self.is_unreachable = true;
                self.leased.start_slowly();
                self.doubt();
                self.shared.leave_to_health();
                self.actions.push_back(Action::Report(evidence));
            }
            // Beside others that work it says little about the server.
            Some(Lane::Shared) => self.shared.failed(reason, now, jitter),
            Some(Lane::Leased) => self.leased.failed(reason, now, jitter),
            None => {}
        }
    }

    pub(super) fn ended(
        &mut self,
        id: u64,
        is_lost: bool,
        evidence: Option<N>,
        now: Instant,
        jitter: f64,
    ) {
        let Some(past) = self.ledger.ended(id) else {
            return;
        };
        self.shared.ended(id);
        let is_stable = now.saturating_duration_since(past.opened) >= STABLE_AFTER;
        match past.lane {
            // It is no evidence of its own: what has ended it ends the shared connections as well, or
            // is the fate of this one, and a crowd of blocked callers would count as a crowd of failures.
            Lane::Leased if is_lost && !is_stable => {
                self.leased.failed(Reason::ConnectionLost, now, jitter);
            }
            Lane::Leased => {}
            Lane::Shared => {
                // One that was retired before says nothing about the present, and needs no successor.
                if past.was_serving {
                    if is_lost {
                        self.doubt();
                    }
                    self.publish();
                    self.actions.extend(evidence.map(Action::Report));
                    if self.is_open() {
                        self.shared.lost(is_stable, now, jitter);
                    }
                }
                // Some may have been parked while its end was on its way here.
                if let Some(first) = self.serving().first() {
                    self.send_parked(*first);
                }
            }
        }
    }

    fn send_parked(&mut self, id: u64) {
        if self.parked > 0 {
            self.actions.push_back(Action::SendParked(id));
        }
    }

    pub(super) fn sweep(&mut self, now: Instant) {
        self.leased.forget_gone();
        self.swept = 0;
        if !self.is_open() {
            return;
        }
        let is_calm = self.shared.is_calm(&self.limits, now);
        let serving = self.serving().to_vec();
        for (id, eviction) in self.ledger.sweep(now, &self.limits, is_calm) {
            if serving.contains(&id) && eviction == Eviction::Lifetime {
                // It is taken out of service, and counted, once there is another.
                self.shared.replace(id, eviction);
                continue;
            }
            self.close(id, Closing::Evicted(eviction));
            self.swept += 1;
        }
        if self.serving().len() < serving.len() {
            self.publish();
        }
    }

    pub(super) fn close(&mut self, id: u64, why: Closing) {
        self.ledger.close(id);
        self.shared.closed(id);
        self.actions.push_back(Action::Close { id, why });
    }
}
