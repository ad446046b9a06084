//! A pool whose settings have changed. Limits hold at once, and what is beyond them is closed as soon as it is not
//! in use. Connections that do not have the new settings serve until there is one that has them, so that a new
//! address or login that does not work takes nothing from callers. The same is done for a server that moves.

use super::{Action, Closing, Eviction, Lane, Limits, Places, Pool, Waiter};

impl<W: Waiter, P: Places, N> Pool<W, P, N> {
    pub(super) fn reconfigured(&mut self, limits: Limits, renews: bool) {
        self.limits = limits;
        if !self.is_open() {
            return;
        }
        self.is_shrinking = true;
        self.shared.begin_anew();
        if renews {
            self.renew(Eviction::Outdated);
        }
        let keeps_one = self.limits.min_idle > 0 && !self.is_unreachable;
        if keeps_one && self.serving().is_empty() {
            self.shared.ask();
        }
    }

    pub(super) fn hand_off(&mut self) {
        if self.is_open() {
            self.renew(Eviction::Moved);
        }
    }

    /// Callers who wait for a dial to the old place get another one.
    pub(super) fn left_behind(&mut self, leased: &[u64]) {
        if !self.is_open() {
            return;
        }
        let dials = self.ledger.outdate_dials_of(Lane::Leased);
        self.actions
            .extend(dials.into_iter().map(Action::CancelDial));
        for id in self.ledger.leave_behind(leased, Eviction::Moved) {
            self.close(id, Closing::Evicted(Eviction::Moved));
        }
    }

    fn renew(&mut self, why: Eviction) {
        let is_in_use = self.is_unreachable || self.parked > 0 || self.waiting() > 0;
        let is_needed = is_in_use || !self.ledger.is_empty();
        let dials = self.ledger.outdate();
        self.actions
            .extend(dials.into_iter().map(Action::CancelDial));
        // That was about the old place.
        self.is_unreachable = false;
        self.leased.begin_anew();
        if is_needed {
            self.shared.renew(why);
        }
    }

    /// Whether callers are still sent to connections with the old settings. Until they are not, no lease is opened
    /// with the new ones: they may lead elsewhere, and a caller would not find there what it has just written. A server
    /// that moves takes its data along.
    pub(super) fn serves_as_before(&self) -> bool {
        self.shared.leads_elsewhere() && !self.serving().is_empty()
    }

    /// The first connection with the new settings is there, or there is none whose place it could take.
    pub(super) fn take_over(&mut self) {
        if let Some(why) = self.shared.end_renewal() {
            for id in self.ledger.supersede(why) {
                self.close(id, Closing::Evicted(why));
            }
        }
    }

    /// Where nothing serves any more, nothing is kept for later.
    pub(super) fn end_renewal_in_vain(&mut self) {
        if self.serving().is_empty() {
            self.take_over();
        }
    }

    /// Closes what is beyond smaller limits and not in use.
    pub(super) fn shrink(&mut self) {
        if !self.is_shrinking {
            return;
        }
        let most = self.limits.max_shared;
        let surplus: Vec<_> = self.serving().iter().skip(most).copied().collect();
        for id in &surplus {
            self.close(*id, Closing::Evicted(Eviction::Spare));
        }
        if !surplus.is_empty() {
            self.publish();
        }
        let mut excess = self.ledger.excess();
        while excess > 0
            && let Some(id) = self.ledger.displace()
        {
            self.close(id, Closing::Evicted(Eviction::Spare));
            excess -= 1;
        }
        // The rest is closed when it is given back, or has been opened.
        self.is_shrinking = excess > 0 || self.ledger.is_dialling(Lane::Shared);
    }
}
