//! The rights to have connections, and their counts by lane and state.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::policy::pool::{Counts, Lane, Place, Places, State};

/// The connections that one database may have. Like the connections, the permits outlast a crash of the
/// pool.
#[derive(Debug)]
pub(crate) struct Permits {
    max: usize,
    max_leased: usize,
    counts: Mutex<Counts>,
}

impl Permits {
    /// At most `max` in both lanes together, of which `for_shared` are reserved for the shared lane, so that
    /// leases cannot shut out all other calls.
    pub(crate) fn new(max: usize, for_shared: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            max_leased: max.saturating_sub(for_shared),
            counts: Mutex::default(),
        })
    }

    /// A consistent snapshot.
    pub(crate) fn counts(&self) -> Counts {
        *self.lock()
    }

    /// The number of further leases that could be granted now, over idle and over new connections.
    pub(crate) fn available(&self, counts: &Counts) -> usize {
        let free = self.max_leased - counts.in_lane(Lane::Leased);
        counts.of(Lane::Leased, State::Idle) + free.min(self.max - counts.total())
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Whether leases are possible at all.
    pub(crate) fn permits_leases(&self) -> bool {
        self.max_leased > 0
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // A panic elsewhere cannot have left it half-changed.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places for Arc<Permits> {
    type Place = Arc<Permit>;

    fn request(&self, lane: Lane) -> Option<Arc<Permit>> {
        let mut counts = self.lock();
        let has_room = counts.total() < self.max
            && (lane == Lane::Shared || counts.in_lane(lane) < self.max_leased);
        if !has_room {
            return None;
        }
        *counts.at(lane, State::Opening) += 1;
        let permits = self.clone();
        Some(Arc::new(Permit {
            permits,
            lane,
            state: Mutex::new(State::Opening),
        }))
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
        let mut counts = self.permits.lock();
        *counts.at(self.lane, *state) -= 1;
        *counts.at(self.lane, next) += 1;
        *state = next;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let state = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *self.permits.lock().at(self.lane, state) -= 1;
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
    fn a_database_of_one_connection_has_no_leases() {
        assert!(!Permits::new(1, 1).permits_leases());
        assert!(Permits::new(2, 1).permits_leases());
    }
}
