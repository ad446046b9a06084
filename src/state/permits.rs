//! The rights to have connections, and their counts by lane and state.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::policy::pool::{Counts, Lane, Place, Places, State};

/// The connections that one database may have. Like the connections, the permits outlast a crash of the
/// pool.
#[derive(Debug)]
pub(crate) struct Permits(Mutex<Room>);

#[derive(Debug)]
struct Room {
    max: usize,
    max_leased: usize,
    counts: Counts,
}

impl Permits {
    /// At most `max` in both lanes together, of which `for_shared` are reserved for the shared lane, so that
    /// leases cannot shut out all other calls.
    pub(crate) fn new(max: usize, for_shared: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Room {
            max,
            max_leased: max.saturating_sub(for_shared),
            counts: Counts::default(),
        })))
    }

    /// Changes the maximum. Connections beyond it are there until the pool has closed them.
    pub(crate) fn resize(&self, max: usize, for_shared: usize) {
        let mut room = self.lock();
        room.max = max;
        room.max_leased = max.saturating_sub(for_shared);
    }

    /// A consistent snapshot.
    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// The number of further leases that could be granted now, over idle and over new connections.
    pub(crate) fn available(&self, counts: &Counts) -> usize {
        let room = self.lock();
        let free = room.max_leased.saturating_sub(counts.in_lane(Lane::Leased));
        let unused = room.max.saturating_sub(counts.total());
        counts.of(Lane::Leased, State::Idle) + free.min(unused)
    }

    pub(crate) fn max(&self) -> usize {
        self.lock().max
    }

    /// Whether leases are possible at all.
    pub(crate) fn permits_leases(&self) -> bool {
        self.lock().max_leased > 0
    }

    fn take(self: &Arc<Self>, room: &mut Room, lane: Lane) -> Arc<Permit> {
        *room.counts.at(lane, State::Opening) += 1;
        Arc::new(Permit {
            permits: self.clone(),
            lane,
            state: Mutex::new(State::Opening),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Room> {
        // A panic elsewhere cannot have left it half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places for Arc<Permits> {
    type Place = Arc<Permit>;

    fn request(&self, lane: Lane) -> Option<Arc<Permit>> {
        let mut room = self.lock();
        let has_room = room.counts.total() < room.max
            && (lane == Lane::Shared || room.counts.in_lane(lane) < room.max_leased);
        has_room.then(|| self.take(&mut room, lane))
    }

    fn request_successor(&self) -> Option<Arc<Permit>> {
        let mut room = self.lock();
        let of = |state| room.counts.of(Lane::Shared, state);
        let is_the_only_one = of(State::Opening) + of(State::Closing) == 0;
        let has_room = room.counts.total() <= room.max || is_the_only_one;
        has_room.then(|| self.take(&mut room, Lane::Shared))
    }

    fn excess(&self) -> usize {
        let room = self.lock();
        let in_service = |lane| {
            let all = room.counts.in_lane(lane);
            all - room.counts.of(lane, State::Closing)
        };
        let leased = in_service(Lane::Leased);
        let all = leased + in_service(Lane::Shared);
        let beyond = leased.saturating_sub(room.max_leased);
        beyond.max(all.saturating_sub(room.max)).min(leased)
    }

    fn counts(&self) -> Counts {
        Permits::counts(self)
    }
}

/// The right to have one connection. The dial holds it, and later the connection's task and the pool
/// together. When the last holder drops it, for whatever reason, its place is free.
#[must_use = "the place is free again when this is dropped"]
#[derive(Debug)]
pub(crate) struct Permit {
    permits: Arc<Permits>,
    lane: Lane,
    state: Mutex<State>,
}

impl Place for Arc<Permit> {
    fn lane(&self) -> Lane {
        self.lane
    }

    fn set(&self, next: State) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = &mut self.permits.lock().counts;
        *counts.at(self.lane, *state) -= 1;
        *counts.at(self.lane, next) += 1;
        *state = next;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let state = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *self.permits.lock().counts.at(self.lane, state) -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_leave_room_for_the_shared_lane() {
        let permits = Permits::new(3, 1);
        let first = permits.request(Lane::Leased).expect("room");
        let _second = permits.request(Lane::Leased).expect("room");
        assert!(permits.request(Lane::Leased).is_none());
        let _shared = permits.request(Lane::Shared).expect("kept for it");
        assert!(permits.request(Lane::Shared).is_none());
        assert_eq!(permits.available(&permits.counts()), 0);
        first.set(State::Idle);
        assert_eq!(permits.available(&permits.counts()), 1);
        drop(first);
        assert_eq!(permits.available(&permits.counts()), 1);
        assert_eq!(permits.counts().total(), 2);
    }

    #[test]
    fn a_place_is_free_when_the_last_holder_drops_its_permit() {
        let permits = Permits::new(1, 0);
        let permit = permits.request(Lane::Leased).expect("room");
        let held_by_task = permit.clone();
        permit.set(State::Closing);
        drop(permit);
        assert_eq!(permits.counts().of(Lane::Leased, State::Closing), 1);
        assert!(permits.request(Lane::Leased).is_none());
        drop(held_by_task);
        assert_eq!(permits.counts(), Counts::default());
        assert!(permits.request(Lane::Leased).is_some());
    }

    #[test]
    fn connections_beyond_a_smaller_maximum_are_told() {
        let permits = Permits::new(4, 1);
        let shared = permits.request(Lane::Shared).expect("room");
        shared.set(State::InUse);
        let leased: Vec<_> = (0..3).map(|_| permits.request(Lane::Leased)).collect();
        permits.resize(2, 1);
        assert_eq!(permits.excess(), 2);
        assert_eq!(permits.available(&permits.counts()), 0);
        assert!(permits.request(Lane::Shared).is_none());
        let successor = permits.request_successor().expect("leases are no reason");
        assert!(permits.request_successor().is_none(), "one at a time");
        drop(successor);
        for permit in leased.iter().take(2).flatten() {
            permit.set(State::Closing);
        }
        assert_eq!(permits.excess(), 0);
        drop(leased);
        permits.resize(1, 1);
        let successor = permits.request_successor().expect("one beyond the maximum");
        assert!(permits.request_successor().is_none());
        drop((shared, successor));
        assert_eq!(permits.counts(), Counts::default());
    }

    #[test]
    fn a_database_of_one_connection_has_no_leases() {
        assert!(!Permits::new(1, 1).permits_leases());
        assert!(Permits::new(2, 1).permits_leases());
    }
}
