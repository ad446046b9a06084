//! How a world comes to its end, whatever has happened in it.

use std::time::Duration;

use super::{
    world::{Event, MANY, World},
    *,
};

const HOUR: Duration = Duration::from_secs(3_600);

impl World {
    /// From now on the server works, and callers give back what they have: each is served.
    pub(super) fn settle(&mut self) {
        let leases_are_possible = self.max > self.limits.min_shared;
        let last = leases_are_possible.then(|| self.acquire(HOUR));
        let crowded = self.queue.iter().all(|guest| Some(guest.number) != last);
        self.park(1);
        for _ in 0..MANY {
            let is_done = self.parked == 0
                && (!leases_are_possible || self.queue.is_empty())
                && self.dials.is_empty();
            if is_done {
                assert!(last.is_none_or(|last| crowded || self.served.contains(&last)));
                return;
            }
            if !self.cooperate() {
                let wake = self.pool.wake_at().expect("a time to be woken at");
                let next_sweep = self.now + self.limits.sweep_interval;
                if wake <= next_sweep {
                    self.now = self.now.max(wake);
                    self.turn(Event::Woken);
                } else {
                    // It closes what is only better to have.
                    self.now = next_sweep;
                    self.sweep();
                }
            }
        }
        panic!("a caller waits in vain: {self:?}");
    }

    /// Whether anything was left to be done.
    fn cooperate(&mut self) -> bool {
        let closing = self.ids(|known| known.state == State::Closing || known.task.is_none());
        if let Some(id) = closing.first() {
            self.known(*id).task = None;
            self.end_is_told(*id, false);
        } else if !self.dials.is_empty() {
            self.dial_ends(0, Ok(()));
        } else if !self.leases.is_empty() {
            self.release(0, true, false);
        } else if let Some(free) = self.free_orphan() {
            self.orphans.remove(free);
            return self.cooperate();
        } else if self.is_unreachable && !self.may_try {
            self.redial(Duration::ZERO);
        } else {
            return false;
        }
        true
    }

    /// One that ends by itself. A route that is published keeps its connection open.
    fn free_orphan(&self) -> Option<usize> {
        let are_withdrawn = self.published.is_some();
        let mut orphans = self.orphans.iter();
        orphans.position(|orphan| are_withdrawn || !orphan.is_routed)
    }

    /// Lets a drain come to its end, with or without the help of callers and server.
    pub(super) fn finish(&mut self, cooperates: bool) {
        let deadline = self.drain.expect("a drain");
        let latest = deadline.max(self.now) + self.limits.stop_patience;
        for _ in 0..MANY {
            if self.is_over {
                assert!(self.now <= latest);
                return;
            }
            if !(cooperates && self.cooperate()) {
                let at = self.pool.wake_at().expect("a time to be woken at");
                self.now = self.now.max(at);
                self.turn(Event::Woken);
            }
        }
        panic!("it does not end: {self:?}");
    }

    /// All holders let go. Returns the number of places that are not free then.
    pub(super) fn end(mut self) -> usize {
        self.abandon();
        self.orphans.clear();
        drop(self.pool);
        self.permits.counts().total()
    }
}
