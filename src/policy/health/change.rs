//! A database whose settings have changed while it is observed.

use std::time::{Duration, Instant};

use super::{DatabaseHealth, Limits};
use crate::events::CircuitState;

impl DatabaseHealth {
    /// Takes other limits. With `needs_connections`, the database may be elsewhere, or the login is another one:
    /// what is known of it is about the connections that it has, and the new ones are tried at once.
    pub(super) fn reconfigured(&mut self, limits: Limits, needs_connections: bool, now: Instant) {
        self.breaker
            .change(limits.failure_threshold, limits.recovery_timeout);
        self.limits = limits;
        self.next_check = self.next_check.min(now + self.check_interval());
        let may_stand_in = limits.has_fallback && !self.is_stood_in();
        if needs_connections {
            self.awaits_connection = true;
            self.forget_attempts();
            self.refused_at = None;
            self.missed_from = None;
        }
        // Attempts that are under way are of an earlier epoch then.
        if needs_connections || may_stand_in && self.circuit() == CircuitState::Open {
            self.set_gate();
        }
        if needs_connections {
            self.try_again(Duration::ZERO, now);
        }
    }

    /// The first connection with the new settings is there. What is left of the old ones says nothing about the
    /// new place.
    pub(super) fn note_new_connection(&mut self, now: Instant) {
        let is_awaited = std::mem::take(&mut self.awaits_connection);
        let is_quiet = self.circuit() == CircuitState::Closed && !self.is_stood_in();
        if is_awaited && is_quiet && !self.given_up {
            self.breaker.reset(now);
            self.set_gate();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events::{HealthState, Reason},
        policy::{
            gate_state::GateState,
            health::{Action, Event, Fault, Found, Greeting},
        },
    };

    const LIMITS: Limits = Limits {
        failure_threshold: 2,
        recovery_timeout: Duration::from_secs(1),
        attempt_timeout: Duration::from_secs(1),
        check_interval: Duration::from_secs(30),
        has_fallback: false,
    };

    struct Rig {
        health: DatabaseHealth,
        now: Instant,
        epoch: u64,
    }

    impl Rig {
        fn new() -> Self {
            let now = Instant::now();
            let found = Found {
                is_connected: true,
                ..Found::default()
            };
            let mut rig = Self {
                health: DatabaseHealth::new(LIMITS, found, now, 0.5),
                now,
                epoch: 0,
            };
            rig.poll();
            rig
        }

        fn on(&mut self, event: Event) -> Vec<Action> {
            self.health.on(event, self.now, 0.5);
            self.poll()
        }

        fn poll(&mut self) -> Vec<Action> {
            let mut actions = Vec::new();
            while let Some(action) = self.health.poll(self.now) {
                if let Action::SetGate(_) = action {
                    self.epoch += 1;
                    self.health.gate_set(self.epoch, self.now);
                }
                actions.push(action);
            }
            actions
        }

        fn reconfigure(&mut self, limits: Limits, needs_connections: bool) -> Vec<Action> {
            self.on(Event::Reconfigured {
                limits,
                needs_connections,
            })
        }

        fn state(&self) -> HealthState {
            self.health.status(self.now).state
        }

        fn fail_command(&mut self, epoch: u64) {
            let reason = Reason::Unresponsive;
            self.on(Event::CommandFailed { epoch, reason });
        }
    }

    fn rejected() -> Fault {
        Fault {
            reason: Reason::Rejected,
            cause: Some("WRONGPASS".into()),
        }
    }

    #[test]
    fn other_limits_hold_from_the_next_failure_on() {
        let mut rig = Rig::new();
        rig.fail_command(0);
        let strict = Limits {
            failure_threshold: 1,
            ..LIMITS
        };
        let actions = rig.reconfigure(strict, false);
        assert!(actions.is_empty(), "{actions:?}");
        assert_eq!(rig.health.circuit(), CircuitState::Closed);
        rig.fail_command(0);
        assert_eq!(rig.health.circuit(), CircuitState::Open);
    }

    #[test]
    fn a_login_that_is_refused_degrades_a_database_whose_connection_answers() {
        let mut rig = Rig::new();
        let actions = rig.reconfigure(LIMITS, true);
        let is_probe = |action: &Action| matches!(action, Action::Probe(Duration::ZERO));
        assert!(actions.iter().any(is_probe), "{actions:?}");
        let epoch = rig.epoch;
        // One with the old settings tells nothing.
        let result = Ok(Greeting::default());
        rig.on(Event::Probed {
            epoch: epoch - 1,
            result,
        });
        rig.on(Event::Probed {
            epoch,
            result: Err(rejected()),
        });
        rig.on(Event::Asked {
            epoch,
            has_answered: true,
        });
        let reason = Reason::Rejected;
        assert_eq!(rig.state(), HealthState::Degraded { reason });
        assert_eq!(rig.health.gate_state(), GateState::Free);
        rig.on(Event::Connected(Greeting::default()));
        assert_eq!(rig.state(), HealthState::Healthy);
    }

    #[test]
    fn failures_on_the_old_connections_do_not_count_against_the_new_place() {
        let mut rig = Rig::new();
        rig.reconfigure(LIMITS, true);
        let old = rig.epoch;
        rig.fail_command(old);
        rig.on(Event::Connected(Greeting::default()));
        assert!(rig.epoch > old);
        for _ in 0..10 {
            rig.fail_command(old);
        }
        rig.fail_command(rig.epoch);
        assert_eq!(rig.health.circuit(), CircuitState::Closed);
    }

    #[test]
    fn a_pool_that_waits_dials_at_once() {
        let mut rig = Rig::new();
        rig.on(Event::DialFailed(rejected()));
        assert_eq!(rig.health.circuit(), CircuitState::Open);
        let actions = rig.reconfigure(LIMITS, true);
        let is_redial = |action: &Action| matches!(action, Action::Redial(Duration::ZERO));
        assert!(actions.iter().any(is_redial), "{actions:?}");
        // A failure waits for its time again.
        let actions = rig.on(Event::DialFailed(rejected()));
        let is_pause = |action: &Action| matches!(action, Action::WakeAfter(_));
        assert!(actions.iter().any(is_pause), "{actions:?}");
    }

    #[test]
    fn a_fallback_stands_in_for_a_database_that_is_down_already() {
        let mut rig = Rig::new();
        rig.on(Event::DialFailed(rejected()));
        let with_fallback = Limits {
            has_fallback: true,
            ..LIMITS
        };
        let actions = rig.reconfigure(with_fallback, false);
        let stands_in = |action: &Action| matches!(action, Action::StandIn);
        assert!(actions.iter().any(stands_in), "{actions:?}");
        let reason = Reason::MemoryFallback;
        assert_eq!(rig.state(), HealthState::Degraded { reason });
        // Without one, it goes on until the outage is over.
        rig.reconfigure(LIMITS, false);
        assert_eq!(rig.state(), HealthState::Degraded { reason });
    }
}
