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
            health::{Action, Event, Fault, Greeting, case::Case},
        },
    };

    const LIMITS: Limits = Limits {
        failure_threshold: 2,
        recovery_timeout: Duration::from_secs(1),
        attempt_timeout: Duration::from_secs(1),
        check_interval: Duration::from_secs(30),
        has_fallback: false,
    };

    fn reconfigure(case: &mut Case, limits: Limits, needs_connections: bool) -> Vec<Action> {
        case.on(Event::Reconfigured {
            limits,
            needs_connections,
        })
    }

    fn fail_command(case: &mut Case, epoch: u64) {
        let reason = Reason::Unresponsive;
        case.on(Event::CommandFailed { epoch, reason });
    }

    fn rejected() -> Fault {
        Fault {
            reason: Reason::Rejected,
            cause: Some("WRONGPASS".into()),
        }
    }

    #[test]
    fn other_limits_hold_from_the_next_failure_on() {
        let mut case = Case::connected(LIMITS);
        fail_command(&mut case, 1);
        let strict = Limits {
            failure_threshold: 1,
            ..LIMITS
        };
        let actions = reconfigure(&mut case, strict, false);
        assert!(actions.is_empty(), "{actions:?}");
        assert_eq!(case.health.circuit(), CircuitState::Closed);
        fail_command(&mut case, 1);
        assert_eq!(case.health.circuit(), CircuitState::Open);
    }

    #[test]
    fn a_login_that_is_refused_degrades_a_database_whose_connection_answers() {
        let mut case = Case::connected(LIMITS);
        let actions = reconfigure(&mut case, LIMITS, true);
        let is_probe = |action: &Action| matches!(action, Action::Probe(Duration::ZERO));
        assert!(actions.iter().any(is_probe), "{actions:?}");
        let epoch = case.epoch;
        // One with the old settings tells nothing.
        let result = Ok(Greeting::default());
        case.on(Event::Probed {
            epoch: epoch - 1,
            result,
        });
        case.on(Event::Probed {
            epoch,
            result: Err(rejected()),
        });
        case.on(Event::Asked {
            epoch,
            has_answered: true,
        });
        let reason = Reason::Rejected;
        assert_eq!(case.state(), HealthState::Degraded { reason });
        assert_eq!(case.health.gate_state(), GateState::Free);
        case.on(Event::Connected(Greeting::default()));
        assert_eq!(case.state(), HealthState::Healthy);
    }

    #[test]
    fn failures_on_the_old_connections_do_not_count_against_the_new_place() {
        let mut case = Case::connected(LIMITS);
        reconfigure(&mut case, LIMITS, true);
        let old = case.epoch;
        fail_command(&mut case, old);
        case.on(Event::Connected(Greeting::default()));
        assert!(case.epoch > old);
        for _ in 0..10 {
            fail_command(&mut case, old);
        }
        let now = case.epoch;
        fail_command(&mut case, now);
        assert_eq!(case.health.circuit(), CircuitState::Closed);
    }

    #[test]
    fn a_pool_that_waits_dials_at_once() {
        let mut case = Case::connected(LIMITS);
        case.on(Event::DialFailed(rejected()));
        assert_eq!(case.health.circuit(), CircuitState::Open);
        let actions = reconfigure(&mut case, LIMITS, true);
        let is_redial = |action: &Action| matches!(action, Action::Redial(Duration::ZERO));
        assert!(actions.iter().any(is_redial), "{actions:?}");
        // A failure waits for its time again.
        let actions = case.on(Event::DialFailed(rejected()));
        let is_pause = |action: &Action| matches!(action, Action::WakeAfter(_));
        assert!(actions.iter().any(is_pause), "{actions:?}");
    }

    #[test]
    fn a_fallback_stands_in_for_a_database_that_is_down_already() {
        let mut case = Case::connected(LIMITS);
        case.on(Event::DialFailed(rejected()));
        let with_fallback = Limits {
            has_fallback: true,
            ..LIMITS
        };
        let actions = reconfigure(&mut case, with_fallback, false);
        let stands_in = |action: &Action| matches!(action, Action::StandIn);
        assert!(actions.iter().any(stands_in), "{actions:?}");
        let reason = Reason::MemoryFallback;
        assert_eq!(case.state(), HealthState::Degraded { reason });
        // Without one, it goes on until the outage is over.
        reconfigure(&mut case, LIMITS, false);
        assert_eq!(case.state(), HealthState::Degraded { reason });
    }
}
