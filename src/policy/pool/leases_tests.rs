//! The end of leases in the model of a pool, and what their callers suspect.

use super::{
    happenings::take,
    world::{Event, World},
    *,
};

impl World {
    pub(super) fn release(&mut self, which: usize, is_clean: bool, is_suspect: bool) {
        let Some(id) = take(&mut self.leases, which) else {
            return;
        };
        let is_open = self.connections.get(&id).is_some_and(|known| {
            let is_in_service = known.state != State::Closing;
            is_in_service && known.task.is_some()
        });
        let (now, is_draining) = (self.now, self.drain.is_some());
        let (mut expected, mut is_replaced) = (None, false);
        if is_suspect {
            self.suspect(id);
        }
        let known = self.connections.get_mut(&id);
        if let Some(known) = known.filter(|known| known.state != State::Closing) {
            let is_expired = known.expires.is_some_and(|expires| expires <= now);
            let is_good = !known.is_distrusted && !known.is_superseded;
            if is_clean && !is_draining && is_good && !is_expired {
                known.state = State::Idle;
                known.since = now;
                self.idle.push(id);
            } else if is_open {
                let is_evicted = is_clean && !is_draining;
                expected = Some(match known {
                    _ if is_evicted && is_expired => Closing::Evicted(Eviction::Lifetime),
                    known if is_evicted && !known.is_distrusted => {
                        is_replaced = true;
                        Closing::Evicted(Eviction::Outdated)
                    }
                    _ => Closing::Discarded,
                });
            } else {
                known.state = State::Closing;
            }
        }
        self.turn(Event::Released {
            id,
            is_clean,
            is_suspect,
            is_open,
        });
        let closed = self.closed.iter().find(|closed| closed.0 == id);
        let for_room = [Eviction::Displaced, Eviction::Spare].map(Closing::Evicted);
        let is_displaced = closed.is_some_and(|closed| for_room.contains(&closed.1));
        if !is_displaced && !self.cut.contains(&id) {
            let for_either = [Eviction::Outdated, Eviction::Moved].map(Closing::Evicted);
            match closed.map(|closed| closed.1) {
                Some(closed) if is_replaced => assert!(for_either.contains(&closed)),
                closed => assert_eq!(closed, expected),
            }
        }
    }

    /// The caller has met a server that is perhaps not the right one.
    fn suspect(&mut self, id: u64) {
        let known = self.connections.get(&id);
        if known.is_some_and(|known| known.state != State::Closing && !known.is_distrusted) {
            self.are_suspect = true;
            self.replace_suspects();
        }
    }

    /// If the pace permits it. A pool that drains closes all anyway.
    pub(super) fn replace_suspects(&mut self) {
        let is_due = self.are_suspect && self.drain.is_none();
        if !is_due || !self.lease_replacements.allows(self.now) {
            return;
        }
        self.are_suspect = false;
        let known = self.connections.values_mut();
        for known in known.filter(|known| known.lane == Lane::Leased) {
            known.is_distrusted = true;
        }
    }
}
