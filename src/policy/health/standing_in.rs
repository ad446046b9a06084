//! The local store that stands in for a database while its circuit is open.
//!
//! While it does, no caller passes the gate: probes alone close the circuit. So what callers see is either the
//! store or the server, and never a mixture of both.

use std::time::{Duration, Instant};

use super::{Action, DatabaseHealth};
use crate::events::{CircuitState, Recovery};

/// The pause after a recovery that failed, before the next one.
const RECOVER_AGAIN: Duration = Duration::from_millis(100);

/// What the local store does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StandIn {
    /// Nothing, or there is none.
    Idle,
    /// It serves callers.
    Serving,
    /// The circuit has closed: what is kept for the server is carried out there, while callers wait.
    Recovering,
    /// That has failed. It serves callers until the next attempt.
    Paused(Instant),
}

impl DatabaseHealth {
    /// Begins to stand in, or to end that, as the circuit demands.
    pub(super) fn set_gate(&mut self) {
        if !self.given_up && !self.breaker.is_isolated() {
            self.stand_in(self.circuit());
        }
        self.act(Action::SetGate(self.gate_state()));
        if self.wants_recovery {
            self.wants_recovery = false;
            self.act(Action::Recover);
        }
    }

    fn stand_in(&mut self, circuit: CircuitState) {
        match (circuit, self.stand_in) {
            (CircuitState::Open, StandIn::Idle) if !self.limits.has_fallback => {}
            (CircuitState::Open, _) if self.stand_in != StandIn::Serving => {
                self.stand_in = StandIn::Serving;
                self.act(Action::StandIn);
            }
            (CircuitState::Closed, StandIn::Serving | StandIn::Paused(_)) => {
                self.stand_in = StandIn::Recovering;
                self.wants_recovery = true;
            }
            _ => {}
        }
    }

    /// All is done at the server: callers go back to it.
    pub(super) fn recovered(&mut self, recovery: Recovery) {
        // The circuit may have opened again meanwhile. Then it is told with what comes next.
        self.recovery = Some(self.recovery.unwrap_or_default().and(recovery));
        if self.stand_in == StandIn::Recovering {
            self.stand_in = StandIn::Idle;
            self.set_gate();
        }
    }

    /// The server failed on the way.
    pub(super) fn recovery_failed(&mut self, now: Instant) {
        if self.stand_in == StandIn::Recovering {
            self.stand_in = StandIn::Paused(now + RECOVER_AGAIN);
            self.act(Action::StandIn);
            self.act(Action::SetGate(self.gate_state()));
            self.act(Action::WakeAfter(RECOVER_AGAIN));
        }
    }

    /// Recovers again, if it is time.
    pub(super) fn recover_again(&mut self, now: Instant) {
        if let StandIn::Paused(until) = self.stand_in
            && until <= now
            && !self.given_up
            && !self.breaker.is_isolated()
        {
            self.set_gate();
        }
    }

    pub(super) fn is_stood_in(&self) -> bool {
        self.stand_in != StandIn::Idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events::{HealthState, Reason},
        policy::{
            gate_state::GateState,
            health::{Event, Fault, Found, Greeting, Limits, case::Case},
        },
    };

    const LIMITS: Limits = Limits {
        failure_threshold: 1,
        recovery_timeout: Duration::from_secs(1),
        attempt_timeout: Duration::from_secs(1),
        check_interval: Duration::from_secs(30),
        has_fallback: true,
    };

    fn fail(case: &mut Case) -> Vec<Action> {
        case.on(Event::DialFailed(Fault {
            reason: Reason::Unreachable,
            cause: None,
        }))
    }

    /// Lets probes succeed until the circuit is closed.
    fn close(case: &mut Case) -> Vec<Action> {
        let mut actions = Vec::new();
        for _ in 0..100 {
            case.now += Duration::from_millis(50);
            actions.extend(case.on(Event::Connected(Greeting::default())));
            if case.health.circuit() == CircuitState::Closed {
                return actions;
            }
            assert_eq!(case.health.gate_state(), GateState::Open, "{actions:?}");
        }
        panic!("the circuit does not close");
    }

    const HELD: GateState = GateState::Trial { at_once: 0 };

    fn has(actions: &[Action], is: impl Fn(&Action) -> bool) -> bool {
        actions.iter().any(is)
    }

    #[test]
    fn callers_see_the_store_until_all_is_done_at_the_server() {
        let mut case = Case::new(LIMITS, Found::default());
        let actions = fail(&mut case);
        let begins = actions
            .iter()
            .position(|action| matches!(action, Action::StandIn));
        let opens = actions
            .iter()
            .position(|action| matches!(action, Action::SetGate(GateState::Open)));
        assert!(begins < opens && begins.is_some(), "{actions:?}");
        let Some(Action::Publish(status)) = actions.last() else {
            panic!("{actions:?}");
        };
        let reason = Reason::MemoryFallback;
        assert_eq!(status.state, HealthState::Degraded { reason });
        assert!(status.cause.is_some());

        let actions = close(&mut case);
        assert_eq!(case.health.gate_state(), HELD);
        assert!(has(&actions, |action| matches!(action, Action::Recover)));

        let recovery = Recovery {
            replayed: 3,
            ..Recovery::default()
        };
        let actions = case.on(Event::Recovered(recovery));
        assert_eq!(case.health.gate_state(), GateState::Free);
        let Some(Action::Publish(status)) = actions.last() else {
            panic!("{actions:?}");
        };
        assert_eq!(status.state, HealthState::Healthy);
        assert_eq!(status.recovery, Some(recovery));
        assert!(case.health.status(case.now).recovery.is_none());
    }

    #[test]
    fn a_recovery_that_fails_is_tried_again_and_one_of_an_earlier_outage_does_not_count() {
        let mut case = Case::new(LIMITS, Found::default());
        fail(&mut case);
        close(&mut case);
        case.on(Event::RecoveryFailed);
        assert_eq!(case.health.gate_state(), GateState::Open);
        assert!(!has(&case.on(Event::Tick), |action| matches!(
            action,
            Action::Recover
        )));
        case.now += RECOVER_AGAIN;
        assert!(has(&case.on(Event::Tick), |action| matches!(
            action,
            Action::Recover
        )));
        assert_eq!(case.health.gate_state(), HELD);

        fail(&mut case);
        assert_eq!(case.health.gate_state(), GateState::Open);
        let earlier = Recovery {
            dropped: 2,
            ..Recovery::default()
        };
        case.on(Event::Recovered(earlier));
        assert_eq!(case.health.gate_state(), GateState::Open);
        // What became of its writes is told all the same.
        let told = |actions: Vec<Action>| {
            let told = actions.into_iter().filter_map(|action| match action {
                Action::Publish(status) => status.recovery,
                _ => None,
            });
            told.fold(Recovery::default(), Recovery::and)
        };
        let mut recovery = told(close(&mut case));
        let later = Recovery {
            dropped: 1,
            ..Recovery::default()
        };
        recovery = recovery.and(told(case.on(Event::Recovered(later))));
        assert_eq!(case.health.gate_state(), GateState::Free);
        assert_eq!(recovery.dropped, 3);
    }

    #[test]
    fn an_operator_isolates_it_and_a_reset_recovers() {
        let mut case = Case::new(LIMITS, Found::default());
        fail(&mut case);
        case.on(Event::Isolate);
        assert_eq!(case.health.gate_state(), GateState::Isolated);
        let actions = case.on(Event::Reset);
        assert!(has(&actions, |action| matches!(action, Action::Recover)));
        assert_eq!(case.health.gate_state(), HELD);
    }

    #[test]
    fn a_store_that_is_found_is_recovered() {
        let found = Found {
            is_stood_in: true,
            ..Found::default()
        };
        let case = Case::new(LIMITS, found);
        assert_eq!(case.health.gate_state(), HELD);
        let mut health = DatabaseHealth::new(LIMITS, found, case.now, 0.0);
        assert!(matches!(health.poll(case.now), Some(Action::SetGate(_))));
        assert!(matches!(health.poll(case.now), Some(Action::Recover)));
    }
}
