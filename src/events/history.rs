//! How long a database was in each state, and how often its circuit has opened.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{CircuitState, HealthEvent, HealthState};

/// How long a database was in each [state](HealthState) since it was added. The sum is its uptime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeInState {
    /// Before the first attempt to reach the server had ended.
    pub starting: Duration,
    /// The server answered.
    pub healthy: Duration,
    /// A problem was found, and commands were let through, or served by a fallback.
    pub degraded: Duration,
    /// The circuit was open.
    pub down: Duration,
    /// An operator had taken it out of use.
    pub isolated: Duration,
    /// Its pool had been given up.
    pub failed: Duration,
}

impl TimeInState {
    /// The sum of all states.
    pub fn total(&self) -> Duration {
        self.starting + self.healthy + self.degraded + self.down + self.isolated + self.failed
    }

    /// The times after an `earlier` snapshot of the same database.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            starting: self.starting.saturating_sub(earlier.starting),
            healthy: self.healthy.saturating_sub(earlier.healthy),
            degraded: self.degraded.saturating_sub(earlier.degraded),
            down: self.down.saturating_sub(earlier.down),
            isolated: self.isolated.saturating_sub(earlier.isolated),
            failed: self.failed.saturating_sub(earlier.failed),
        }
    }

    fn of(&mut self, state: &HealthState) -> Option<&mut Duration> {
        Some(match state {
            HealthState::Starting => &mut self.starting,
            HealthState::Healthy => &mut self.healthy,
            HealthState::Degraded { .. } => &mut self.degraded,
            HealthState::Down { .. } => &mut self.down,
            HealthState::Isolated => &mut self.isolated,
            HealthState::Failed => &mut self.failed,
            HealthState::Stopped | HealthState::Removed => return None,
        })
    }
}

/// The present state of a database, and what was before.
pub(super) struct Present {
    pub(super) event: HealthEvent,
    pub(super) past: Past,
}

/// What was before the present state.
#[derive(Debug)]
pub(super) struct Past {
    /// Without the time in the present state.
    time_in: TimeInState,
    /// The begin of the present state, or the last event about it.
    since: Instant,
    /// When the present state began. Events that tell of the same state again leave it.
    entered: Instant,
    trips: u64,
    circuit_changes: u64,
    events: u64,
}

impl Past {
    /// That of the next event. A database that is new, or there again, has none.
    pub(super) fn before(before: Option<Present>, next: &HealthEvent, now: Instant) -> Self {
        let before = before.filter(|before| before.event.state != HealthState::Removed);
        let circuit = before
            .as_ref()
            .map_or(CircuitState::Closed, |before| before.event.circuit);
        let has_changed = circuit != next.circuit;
        let has_opened = has_changed && next.circuit == CircuitState::Open;
        let time_in = before.as_ref().map(|before| before.time_in(now));
        let is_like = |before: &&Present| before.event.state.is_like(&next.state);
        let same = before.as_ref().filter(is_like);
        let entered = same.map_or(now, |before| before.past.entered);
        let past = before.as_ref().map(|before| &before.past);
        Self {
            time_in: time_in.unwrap_or_default(),
            since: now,
            entered,
            trips: past.map_or(0, |past| past.trips) + u64::from(has_opened),
            circuit_changes: past.map_or(0, |past| past.circuit_changes) + u64::from(has_changed),
            events: past.map_or(0, |past| past.events) + 1,
        }
    }
}

impl Present {
    fn time_in(&self, now: Instant) -> TimeInState {
        let mut time_in = self.past.time_in;
        if let Some(time) = time_in.of(&self.event.state) {
            *time += now.saturating_duration_since(self.past.since);
        }
        time_in
    }
}

/// The present state of a database, and a summary of those before.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) health: HealthState,
    pub(crate) circuit: CircuitState,
    pub(crate) time_in: TimeInState,
    /// How often the circuit has opened.
    pub(crate) trips: u64,
    /// The failure behind the present state, if its text is known.
    pub(crate) cause: Option<Arc<str>>,
    /// How long the database has been in the present state, for the present reason.
    pub(crate) present_for: Duration,
    /// How often it has changed.
    pub(crate) circuit_changes: u64,
    pub(crate) events: u64,
}

impl History {
    pub(super) fn of(present: Option<&Present>, now: Instant) -> Self {
        let Some(present) = present else {
            return Self {
                health: HealthState::Starting,
                circuit: CircuitState::Closed,
                time_in: TimeInState::default(),
                trips: 0,
                cause: None,
                present_for: Duration::ZERO,
                circuit_changes: 0,
                events: 0,
            };
        };
        Self {
            health: present.event.state.clone(),
            circuit: present.event.circuit,
            time_in: present.time_in(now),
            trips: present.past.trips,
            circuit_changes: present.past.circuit_changes,
            events: present.past.events,
            cause: present.event.cause.clone(),
            present_for: now.saturating_duration_since(present.past.entered),
        }
    }
}
