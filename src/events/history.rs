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
    /// A problem was found, and commands were let through.
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

/// What was before the present state.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// Without the time in the present state.
    time_in: TimeInState,
    since: Option<Instant>,
    /// When the present state began. Events that tell of the same state again leave it.
    entered: Option<Instant>,
    trips: u64,
    circuit_changes: u64,
    events: u64,
}

impl Past {
    /// The state has changed from that of one event to that of the next.
    pub(super) fn note(&mut self, before: Option<&HealthEvent>, next: &HealthEvent, now: Instant) {
        let before = before.filter(|before| before.state != HealthState::Removed);
        let Some(before) = before else {
            // It is new, or there again.
            *self = Self::default();
            self.since = Some(now);
            self.entered = Some(now);
            self.trips = u64::from(next.circuit == CircuitState::Open);
            self.events = 1;
            return;
        };
        self.time_in = self.with_present(before, now);
        self.since = Some(now);
        if !before.state.is_like(&next.state) {
            self.entered = Some(now);
        }
        let has_opened = next.circuit == CircuitState::Open && before.circuit != next.circuit;
        self.trips += u64::from(has_opened);
        self.circuit_changes += u64::from(before.circuit != next.circuit);
        self.events += 1;
    }

    fn with_present(&self, present: &HealthEvent, now: Instant) -> TimeInState {
        let mut time_in = self.time_in;
        if let (Some(since), Some(time)) = (self.since, time_in.of(&present.state)) {
            *time += now.saturating_duration_since(since);
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
    pub(super) fn of(latest: Option<&HealthEvent>, past: Option<&Past>, now: Instant) -> Self {
        let (Some(latest), Some(past)) = (latest, past) else {
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
            health: latest.state.clone(),
            circuit: latest.circuit,
            time_in: past.with_present(latest, now),
            trips: past.trips,
            cause: latest.cause.clone(),
            present_for: past.entered.map_or(Duration::ZERO, |entered| {
                now.saturating_duration_since(entered)
            }),
            circuit_changes: past.circuit_changes,
            events: past.events,
        }
    }
}
