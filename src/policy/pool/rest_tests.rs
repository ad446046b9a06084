//! What holds whenever the machine rests: everything is accounted for, and nobody waits in vain.

use std::time::Instant;

use super::{
    world::{LONGEST_PAUSE, World},
    *,
};

impl World {
    /// What holds whenever the machine rests.
    pub(super) fn judge_rest(&self) {
        self.judge_places();
        let serving = self.serving();
        assert_eq!(self.pool.serving(), serving);
        assert!(self.published.as_ref().is_none_or(|id| *id == serving));
        assert_eq!(self.pool.is_draining(), self.drain.is_some());
        if self.is_over {
            return assert_eq!(self.pool.wake_at(), None);
        }
        let is_open = |id: &u64| self.connections[id].task.is_some();
        assert!(self.parked == 0 || !serving.iter().any(is_open), "{self:?}");
        match self.drain {
            Some(deadline) => self.judge_drain(deadline),
            None => {
                self.judge_waiters();
                self.judge_minimum(serving.len());
                self.judge_renewal(&serving);
            }
        }
    }

    /// Callers are sent to connections of one kind, and to the new kind as soon as there is one.
    fn judge_renewal(&self, serving: &[u64]) {
        assert!(serving.len() <= self.limits.max_shared, "{self:?}");
        let is_old = |id: &&u64| self.connections[*id].is_outdated;
        let old = serving.iter().filter(is_old).count();
        assert!(old == 0 || old == serving.len(), "{self:?}");
        if old == 0 {
            let idle_old = self.idle.iter().filter(is_old).count();
            return assert_eq!(idle_old, 0, "{self:?}");
        }
        // No caller is elsewhere than the others, but where a server takes its data along.
        let opening = self.dials.iter();
        let opening = opening
            .filter(|(id, task)| task.lane() == Lane::Leased && !self.cancelled.contains(*id));
        let open = self
            .ids(|known| known.lane == Lane::Leased && known.task.is_some() && !known.is_outdated);
        let is_together = opening.count() == 0 && open.is_empty();
        assert!(is_together || !self.leads_elsewhere, "{self:?}");
        let is_dialling = self.dials.values().any(|task| task.lane() == Lane::Shared);
        if !is_dialling && self.permits.request_successor().is_some() {
            self.assert_pause(self.shared_trouble, "the old ones go on");
        }
    }

    fn judge_places(&self) {
        let counts = self.permits.counts();
        for lane in [Lane::Shared, Lane::Leased] {
            for state in [State::Opening, State::Idle, State::InUse, State::Closing] {
                let expected = self.count(lane, state);
                assert_eq!(counts.of(lane, state), expected, "{lane:?} {state:?}");
            }
        }
        // What was opened under a greater maximum becomes less.
        let (total, leased) = self.totals;
        let most = self.max.max(total) + usize::from(self.has_renewed);
        assert!(counts.total() <= most, "{self:?}");
        let for_leases = self.max - self.limits.min_shared;
        assert!(
            counts.in_lane(Lane::Leased) <= for_leases.max(leased),
            "{self:?}"
        );
        let is_distrusted = |id: &u64| self.connections[id].is_distrusted;
        assert!(!self.idle.iter().any(is_distrusted), "{self:?}");
        if !self.has_renewed && self.drain.is_none() {
            assert!(
                self.permits.excess() == 0 || self.idle.is_empty(),
                "{self:?}"
            );
        }
    }

    /// Each has its turn as soon as there is a connection, or is told that there is none.
    fn judge_waiters(&self) {
        let waiting = self.queue.len();
        assert!(self.pool.waiting() >= waiting);
        let Some(deadline) = self.queue.iter().map(Waiter::deadline).min() else {
            return;
        };
        assert!(self.idle.is_empty(), "one is idle: {self:?}");
        let wake = self.pool.wake_at().expect("a time to be woken at");
        assert!(wake <= deadline);
        let dials = self
            .dials
            .values()
            .filter(|task| task.lane() == Lane::Leased);
        let wanted = waiting.min(self.width);
        let is_old = |id: &u64| self.connections[id].is_outdated;
        if dials.count() >= wanted || self.is_unreachable || self.serving().iter().any(is_old) {
            return;
        }
        let has_room = self.permits.request(Lane::Leased).is_some();
        // Dials of a crashed pool count as well.
        let are_opening = self.count(Lane::Leased, State::Opening) >= wanted;
        if has_room && !are_opening {
            self.assert_pause(self.leased_trouble, "a caller waits in vain");
        } else if !self.orphans.is_empty() {
            assert!(wake <= self.now + LOOK_AGAIN, "they may end");
        }
    }

    /// There is the minimum of shared connections while they are used, or a good reason.
    fn judge_minimum(&self, serving: usize) {
        let is_dialling = self.dials.values().any(|task| task.lane() == Lane::Shared);
        let is_fresh = |id: &u64| {
            let idle = self.now - self.connections[id].since;
            idle < self.limits.idle_timeout
        };
        let is_used = self.parked > 0 || self.serving().iter().any(is_fresh);
        let lacks_minimum = serving < self.limits.min_shared && is_used;
        if !lacks_minimum || is_dialling {
            return;
        }
        if self.is_unreachable {
            // The health actor owes an order, or has given one.
            let has_room = self.permits.request(Lane::Shared).is_some();
            assert!(!self.may_try || self.pool.wake_at().is_some() || !has_room);
            return;
        }
        if self
            .serving()
            .iter()
            .any(|id| self.connections[id].is_outdated)
        {
            // They are to be replaced anyway.
            return;
        }
        if self.permits.request(Lane::Shared).is_some() {
            self.assert_pause(self.shared_trouble, "the minimum is lacking");
        } else if !self.idle.is_empty() && self.displaced.is_none() {
            self.assert_pause(self.shared_trouble, "an idle one is in the way");
        } else if serving == 0 && !self.orphans.is_empty() {
            let wake = self.pool.wake_at().expect("a time to be woken at");
            assert!(wake <= self.now + LOOK_AGAIN, "they may end");
        }
    }

    #[track_caller]
    fn assert_pause(&self, trouble: Option<Instant>, otherwise: &str) {
        let had_trouble = trouble.is_some_and(|at| self.now - at <= LONGEST_PAUSE);
        let wake = self.pool.wake_at();
        let is_woken = wake.is_some_and(|at| at <= self.now + LONGEST_PAUSE);
        assert!(had_trouble && is_woken, "{otherwise}: {self:?}");
    }

    fn judge_drain(&self, deadline: Instant) {
        assert_eq!((self.queue.len(), self.pool.waiting()), (0, 0));
        let latest = deadline + self.limits.stop_patience;
        let wake = self.pool.wake_at().expect("a time to be woken at");
        assert!(wake <= latest.max(self.now));
        if self.is_forced {
            return;
        }
        // No lease is waited for that has been idle for a second, but for the pause between two looks.
        for (id, since) in &self.idle_leases {
            let is_out = self.connections.get(id);
            let is_out = is_out.is_some_and(|known| known.state == State::InUse);
            assert!(!is_out || self.now - *since < Duration::from_millis(1_000));
        }
        if self.parked == 0 {
            assert!(self.serving().is_empty() && self.idle.is_empty());
            assert!(self.dials.keys().all(|id| self.cancelled.contains(id)));
        }
    }
}
