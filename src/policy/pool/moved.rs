//! A pool whose server has moved, as after a failover. Nothing may be sent to the old place any more, so its connections
//! end at once and not when their last reply has come.

use super::{Action, Cut, Places, Pool, Waiter};

impl<W: Waiter, P: Places, N> Pool<W, P, N> {
    pub(super) fn moved(&mut self, stale: &[u64]) {
        let is_in_use = self.is_unreachable
            || self.parked > 0
            || self.waiting() > 0
            || !stale.is_empty()
            || self.ledger.is_dialling_any();
        let dials = self.ledger.outdate_dials();
        self.actions
            .extend(dials.into_iter().map(Action::CancelDial));
        let changes_routes = stale.iter().any(|id| self.serving().contains(id));
        for id in stale {
            self.shared.closed(*id);
            self.cut(*id, Cut::Moved);
        }
        if changes_routes {
            self.publish();
        }
        if !self.is_open() {
            return;
        }
        // That was about the old place.
        self.is_unreachable = false;
        self.leased.begin_anew();
        if is_in_use {
            self.shared.ask();
        }
    }
}
