//! A machine whose shell does nothing but count epochs, for tests of single rules.

use std::time::Instant;

use super::{Action, Counts, DatabaseHealth, Event, Found, Limits};
use crate::events::HealthState;

pub(super) struct Case {
    pub(super) health: DatabaseHealth,
    pub(super) now: Instant,
    pub(super) epoch: u64,
    /// What the counters say.
    pub(super) counts: Counts,
}

impl Case {
    /// A machine that has done what follows from what it found.
    pub(super) fn new(limits: Limits, found: Found) -> Self {
        let now = Instant::now();
        let mut health = DatabaseHealth::new(limits, found, now, 0.0);
        health.gate_set(1, now);
        let mut case = Self {
            health,
            now,
            epoch: 1,
            counts: Counts::default(),
        };
        case.actions();
        case
    }

    pub(super) fn connected(limits: Limits) -> Self {
        let found = Found {
            is_connected: true,
            ..Found::default()
        };
        Self::new(limits, found)
    }

    pub(super) fn on(&mut self, event: Event) -> Vec<Action> {
        self.health.on(event, self.now, 0.0);
        self.actions()
    }

    pub(super) fn actions(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(action) = self.health.poll(self.now) {
            assert!(actions.len() < 50, "it comes to no end");
            if let Action::SetGate(_) = action {
                self.epoch += 1;
                self.health.gate_set(self.epoch, self.now);
            }
            actions.push(action);
        }
        actions
    }

    pub(super) fn state(&self) -> HealthState {
        self.health.status(self.now).state
    }
}
