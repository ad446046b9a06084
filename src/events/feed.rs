//! The events that subscribers fetch, kept once for all of them.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::SystemTime,
};

use tokio::time::Instant;

use super::{
    CircuitState, Failover, Handoff, HealthEvent, HealthState, Recovery,
    history::{History, Past, Present},
};

/// The most events that are kept. A subscriber that is further behind gets the present state of each database that
/// has changed.
pub(super) const CAPACITY: usize = 256;

/// What an event tells beside the state.
#[derive(Default)]
pub(super) struct Told {
    pub(super) changed: Arc<[&'static str]>,
    pub(super) failover: Option<Failover>,
    pub(super) handoff: Option<Handoff>,
}

/// The present states, the last events, and the subscribers that wait for the next event.
///
/// Its lock belongs to the control plane: no command ever takes it. No code of the application, such as a waker,
/// runs under it.
#[derive(Default)]
pub(super) struct Feed {
    #[cfg(feature = "status-page")]
    pub(super) run: super::run::Run,
    events: Mutex<Events>,
}

#[derive(Default)]
struct Events {
    /// The present state of each database, and the last one of those that were removed of late.
    latest: BTreeMap<Arc<str>, Present>,
    /// The last events of all databases, in order and without a gap.
    recent: VecDeque<HealthEvent>,
    /// The number of the last event.
    sequence: u64,
    /// Subscribers that have fetched all events, by their ids. Each is woken once, and then fetches again.
    waiting: HashMap<u64, Waker>,
    last_subscriber: u64,
    is_closed: bool,
}

/// A change to publish. The feed adds time and sequence number.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) database: Arc<str>,
    pub(crate) state: HealthState,
    pub(crate) circuit: CircuitState,
    pub(crate) cause: Option<Arc<str>>,
    pub(crate) recovery: Option<Recovery>,
    pub(crate) now: Instant,
}

/// A subscriber that begins.
pub(super) struct Subscription {
    pub(super) id: u64,
    /// The present states.
    pub(super) states: VecDeque<HealthEvent>,
    /// The number of the last event in which they changed.
    pub(super) seen: u64,
}

/// The answer to a subscriber that asks for events.
pub(super) enum Fetched {
    /// The events after the one that it has seen last, in order, and at least one.
    Events(VecDeque<HealthEvent>),
    /// There is none yet. The subscriber is woken when there is.
    Wait,
    /// There will be none any more.
    End,
}

impl Feed {
    /// Adds an event, unless it repeats the last state.
    pub(super) fn add(&self, change: Change) -> Option<HealthEvent> {
        let (event, waiting) = {
            let mut events = self.lock();
            let event = events.add(change)?;
            (event, std::mem::take(&mut events.waiting))
        };
        waiting.into_values().for_each(Waker::wake);
        Some(event)
    }

    /// Adds an event that tells something else. The state is the present one.
    pub(super) fn add_told(
        &self,
        database: &Arc<str>,
        told: Told,
        now: Instant,
    ) -> Option<HealthEvent> {
        let (event, waiting) = {
            let mut events = self.lock();
            let event = events.add_told(database, told, now)?;
            (event, std::mem::take(&mut events.waiting))
        };
        waiting.into_values().for_each(Waker::wake);
        Some(event)
    }

    pub(super) fn subscribe(&self) -> Subscription {
        let mut events = self.lock();
        events.last_subscriber += 1;
        Subscription {
            id: events.last_subscriber,
            states: events.present().cloned().collect(),
            seen: events.sequence,
        }
    }

    /// The events after `seen`. If there is none, the subscriber is woken by the next.
    pub(super) fn fetch(&self, subscriber: u64, seen: u64, waker: Waker) -> Fetched {
        let mut events = self.lock();
        if events.sequence > seen {
            return Fetched::Events(events.after(seen));
        }
        if events.is_closed {
            return Fetched::End;
        }
        let replaced = events.waiting.insert(subscriber, waker);
        drop(events);
        drop(replaced);
        Fetched::Wait
    }

    /// The subscriber does not wait any more.
    pub(super) fn forget(&self, subscriber: u64) {
        let waker = self.lock().waiting.remove(&subscriber);
        drop(waker);
    }

    /// The present state of a database, and what was before.
    pub(super) fn history(&self, database: &str, now: Instant) -> History {
        History::of(self.lock().latest.get(database), now)
    }

    /// The last event of one database.
    #[cfg(test)]
    pub(super) fn latest(&self, database: &str) -> Option<HealthEvent> {
        let events = self.lock();
        events
            .latest
            .get(database)
            .map(|present| present.event.clone())
    }

    /// There are no events from now on.
    pub(super) fn close(&self) {
        let waiting = {
            let mut events = self.lock();
            events.is_closed = true;
            std::mem::take(&mut events.waiting)
        };
        waiting.into_values().for_each(Waker::wake);
    }

    /// Events that are kept, and subscribers that wait.
    #[cfg(test)]
    pub(super) fn lengths(&self) -> (usize, usize) {
        let events = self.lock();
        (events.recent.len(), events.waiting.len())
    }

    fn lock(&self) -> MutexGuard<'_, Events> {
        // No holder can leave the data half-changed, so a poisoned lock can still be used.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the events: the formatter may be slow, and it would have the lock.
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

impl Events {
    fn add(&mut self, change: Change) -> Option<HealthEvent> {
        let latest = self.latest.get(&change.database);
        let is_known = latest.is_some_and(|latest| {
            let latest = &latest.event;
            latest.state.is_like(&change.state) && latest.circuit == change.circuit
        });
        if self.is_closed || is_known {
            return None;
        }
        Some(self.push(change, Told::default()))
    }

    fn add_told(&mut self, database: &Arc<str>, told: Told, now: Instant) -> Option<HealthEvent> {
        let change = self.no_change(database, now)?;
        Some(self.push(change, told))
    }

    /// The present state once more, for an event that tells something else.
    fn no_change(&self, database: &Arc<str>, now: Instant) -> Option<Change> {
        if self.is_closed {
            return None;
        }
        let latest = self.latest.get(database).map(|present| &present.event);
        Some(Change {
            database: database.clone(),
            state: latest.map_or(HealthState::Starting, |latest| latest.state.clone()),
            circuit: latest.map_or(CircuitState::Closed, |latest| latest.circuit),
            cause: latest.and_then(|latest| latest.cause.clone()),
            recovery: None,
            now,
        })
    }

    /// The last events of the databases that there are.
    fn present(&self) -> impl Iterator<Item = &HealthEvent> {
        let events = self.latest.values().map(|present| &present.event);
        events.filter(|event| event.state != HealthState::Removed)
    }

    /// Forgets the database that was removed first, if many were. No subscriber that is less far behind than that
    /// misses its end.
    fn forget_removed(&mut self) {
        let removed = self.latest.values().map(|present| &present.event);
        let removed = removed.filter(|event| event.state == HealthState::Removed);
        let mut oldest: Option<&HealthEvent> = None;
        let mut number = 0;
        for event in removed {
            number += 1;
            oldest = oldest
                .filter(|oldest| oldest.sequence < event.sequence)
                .or(Some(event));
        }
        if number > CAPACITY
            && let Some(name) = oldest.map(|oldest| oldest.database.clone())
        {
            self.latest.remove(&name);
        }
    }

    fn push(&mut self, change: Change, told: Told) -> HealthEvent {
        self.sequence += 1;
        let event = HealthEvent {
            database: change.database,
            state: change.state,
            circuit: change.circuit,
            cause: change.cause,
            recovery: change.recovery,
            changed: told.changed,
            failover: told.failover,
            handoff: told.handoff,
            at: SystemTime::now(),
            sequence: self.sequence,
            missed: 0,
        };
        let before = self.latest.remove(&event.database);
        let present = Present {
            past: Past::before(before, &event, change.now),
            event: event.clone(),
        };
        self.latest.insert(event.database.clone(), present);
        if event.state == HealthState::Removed {
            self.forget_removed();
        }
        if self.recent.len() == CAPACITY {
            self.recent.pop_front();
        }
        self.recent.push_back(event.clone());
        event
    }

    fn after(&self, seen: u64) -> VecDeque<HealthEvent> {
        let behind = (self.sequence - seen) as usize;
        if let Some(first) = self.recent.len().checked_sub(behind) {
            return self.recent.range(first..).cloned().collect();
        }
        let latest = self.latest.values().map(|present| &present.event);
        let changed = latest.filter(|event| event.sequence > seen);
        let mut changed: Vec<_> = changed.cloned().collect();
        changed.sort_unstable_by_key(|event| event.sequence);
        let missed = behind - changed.len();
        changed[0].missed = missed as u64;
        changed.into()
    }
}
