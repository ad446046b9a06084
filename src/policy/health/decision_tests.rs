//! Goal: each rule, on its own. Method: one event or a few, and the actions that follow.

use super::{case::Case, *};
use crate::events::HealthState;

const LIMITS: Limits = Limits {
    failure_threshold: 5,
    recovery_timeout: Duration::from_secs(1),
    attempt_timeout: Duration::from_secs(1),
    check_interval: Duration::from_secs(30),
    has_fallback: false,
};
const MS: Duration = Duration::from_millis(1);

impl Case {
    /// A database that has been connected for longer than an attempt timeout.
    fn settled() -> Self {
        let mut case = Self::connected(LIMITS);
        case.now += 2 * LIMITS.attempt_timeout;
        case.look(0);
        case
    }

    /// A look at the counters, a moment later, when so many more are unanswered.
    fn look(&mut self, unanswered: u64) -> Vec<Action> {
        self.now += 250 * MS;
        self.counts.unanswered += unanswered;
        self.on(Event::Observed(self.counts))
    }

    fn fails(&mut self, reason: Reason) -> Vec<Action> {
        let epoch = self.epoch;
        self.on(Event::CommandFailed { epoch, reason })
    }

    fn opened() -> Self {
        let mut case = Self::settled();
        case.look(5);
        assert_eq!(case.health.circuit(), CircuitState::Open);
        case
    }
}

fn fault(reason: Reason) -> Fault {
    let cause = None;
    Fault { reason, cause }
}

#[test]
fn callers_learn_why_before_the_gate_closes_and_subscribers_after_it() {
    let mut case = Case::settled();
    for _ in 0..4 {
        case.fails(Reason::Unresponsive);
    }
    let actions = case.fails(Reason::Unresponsive);
    assert!(
        matches!(
            actions[..],
            [
                Action::RetireConnections,
                Action::AnnounceOutage { .. },
                Action::SetGate(GateState::Open),
                Action::AwaitEndpoint,
                Action::Publish(_),
            ]
        ),
        "{actions:?}"
    );
}

#[test]
fn a_probe_begins_in_the_epoch_that_its_evidence_began() {
    let mut case = Case::settled();
    let actions = case.on(Event::Isolate);
    assert!(matches!(
        actions[..],
        [Action::SetGate(_), Action::Probe(_), Action::Publish(_)]
    ));
    assert_eq!(case.health.epoch(), 2);
}

#[test]
fn an_endpoint_that_fails_is_counted_four_times_per_attempt_timeout() {
    let mut case = Case::settled();
    let next_check = case.now + 10 * LIMITS.attempt_timeout;
    let start = case.now;
    case.on(Event::DialFailed(fault(Reason::Unreachable)));
    let mut checks = 0;
    while case.health.circuit() == CircuitState::Closed && checks < 1_000 {
        case.now += 25 * MS;
        checks += 1;
        let fault = fault(Reason::Unreachable);
        case.on(Event::EndpointFailed { fault, next_check });
    }
    assert_eq!(case.now - start, LIMITS.attempt_timeout, "{checks} checks");
}

#[test]
fn a_server_that_refuses_this_client_opens_the_circuit_at_once_and_is_asked_seldom() {
    let mut case = Case::settled();
    let actions = case.on(Event::DialFailed(fault(Reason::Rejected)));
    assert_eq!(case.health.circuit(), CircuitState::Open);
    let pause = actions.iter().find_map(|action| match action {
        Action::WakeAfter(pause) => Some(*pause),
        _ => None,
    });
    assert_eq!(pause, Some(Duration::from_secs(1)));
    let is_about_it = |action: &Action| matches!(action, Action::AwaitEndpoint);
    assert!(!actions.iter().any(is_about_it), "{actions:?}");
    case.now += Duration::from_secs(1);
    let actions = case.on(Event::Tick);
    assert!(matches!(actions[..], [Action::Redial(_)]), "{actions:?}");
}

/// An attempt to reach the server has failed while the pool has a connection.
fn probe_fails(case: &mut Case, reason: Reason) -> Vec<Action> {
    let (epoch, result) = (case.epoch, Err(fault(reason)));
    case.on(Event::Probed { epoch, result })
}

#[test]
fn a_database_whose_connection_answers_stays_in_service_when_new_ones_fail() {
    for reason in [
        Reason::Rejected,
        Reason::ServerFull,
        Reason::Unreachable,
        Reason::NotRedis,
    ] {
        let mut case = Case::settled();
        for _ in 0..50 {
            case.now += LIMITS.attempt_timeout;
            case.on(Event::Tick);
            let actions = probe_fails(&mut case, reason);
            assert!(
                matches!(actions[..], [Action::AskConnection]),
                "{actions:?}"
            );
            let (epoch, has_answered) = (case.epoch, true);
            case.on(Event::Asked {
                epoch,
                has_answered,
            });
            let status = case.health.status(case.now);
            assert_eq!(status.state, HealthState::Degraded { reason });
            assert_eq!(status.circuit, CircuitState::Closed);
            let cause = status.cause.expect("a cause");
            assert!(cause.starts_with("new connections fail: "), "{cause}");
        }
        probe_fails(&mut case, reason);
        let (epoch, has_answered) = (case.epoch, false);
        case.on(Event::Asked {
            epoch,
            has_answered,
        });
        let opens_at_once = matches!(reason, Reason::Rejected | Reason::NotRedis);
        let is_open = case.health.circuit() == CircuitState::Open;
        assert_eq!(is_open, opens_at_once, "{reason}");
    }
}

#[test]
fn a_connection_that_answers_ends_an_outage_though_new_ones_fail() {
    let mut case = Case::opened();
    case.on(Event::Connected(Greeting::default()));
    case.fails(Reason::Busy);
    assert_eq!(case.health.circuit(), CircuitState::Open);
    let mut asked = 0;
    while case.health.circuit() != CircuitState::Closed && asked < 100 {
        case.now += LIMITS.attempt_timeout;
        case.on(Event::Tick);
        probe_fails(&mut case, Reason::ServerFull);
        let (epoch, has_answered) = (case.epoch, true);
        case.on(Event::Asked {
            epoch,
            has_answered,
        });
        asked += 1;
    }
    assert_eq!(case.health.circuit(), CircuitState::Closed);
}

#[test]
fn an_endpoint_that_does_not_answer_counts_unless_the_connection_does() {
    let mut case = Case::settled();
    let next_check = case.now + LIMITS.attempt_timeout;
    let mut asked = 0;
    while case.health.circuit() == CircuitState::Closed && asked < 100 {
        let fault = fault(Reason::Unreachable);
        let actions = case.on(Event::EndpointFailed { fault, next_check });
        assert!(
            matches!(actions[..], [Action::AskConnection]),
            "{actions:?}"
        );
        let (epoch, has_answered) = (case.epoch, asked < 20);
        case.on(Event::Asked {
            epoch,
            has_answered,
        });
        asked += 1;
        case.now += LIMITS.attempt_timeout;
    }
    assert_eq!(asked, 25, "twenty were answered, and five were not");
}

#[test]
fn refusals_of_commands_count_when_attempts_do_not_meet_them() {
    for reason in [Reason::Loading, Reason::Rejected] {
        let mut case = Case::settled();
        for _ in 0..100 {
            case.fails(reason);
        }
        assert_eq!(case.health.circuit(), CircuitState::Closed);
        let (epoch, result) = (case.epoch, Ok(Greeting::default()));
        case.on(Event::Probed { epoch, result });
        for _ in 0..100 {
            case.fails(reason);
        }
        let is_closed = case.health.circuit() == CircuitState::Closed;
        assert!(is_closed, "they may be older than the attempt");
        case.now += 100 * MS;
        for _ in 0..4 {
            case.fails(reason);
            assert_eq!(case.health.circuit(), CircuitState::Closed);
        }
        case.fails(reason);
        assert_eq!(case.health.circuit(), CircuitState::Open, "{reason}");
    }
}

#[test]
fn commands_that_fail_among_others_do_not_have_the_database_probed_without_end() {
    let mut case = Case::settled();
    let (start, mut probes, mut told) = (case.now, 0, 0);
    while case.now - start < Duration::from_secs(20) {
        case.on(Event::CommandSucceeded);
        let mut actions = case.fails(Reason::PrimaryDown);
        actions.extend(case.on(Event::Tick));
        let is_probe = |action: &Action| matches!(action, Action::Probe(_));
        if actions.iter().any(is_probe) {
            probes += 1;
            let (epoch, result) = (case.epoch, Ok(Greeting::default()));
            actions.extend(case.on(Event::Probed { epoch, result }));
        }
        let is_told = |action: &&Action| matches!(action, Action::Publish(_));
        told += actions.iter().filter(is_told).count();
        case.now += 5 * MS;
    }
    assert_eq!(case.health.circuit(), CircuitState::Closed);
    assert!((10..=30).contains(&probes), "{probes} probes in 20 s");
    assert!(told <= 2 * probes + 2, "{told} events of {probes} probes");
}

#[test]
fn a_server_that_loads_its_dataset_does_not_open_the_circuit() {
    let mut case = Case::settled();
    for _ in 0..100 {
        case.on(Event::DialFailed(fault(Reason::Loading)));
        case.now += LIMITS.attempt_timeout;
    }
    let status = case.health.status(case.now);
    let reason = Reason::Loading;
    assert_eq!(status.state, HealthState::Degraded { reason });
    assert_eq!(status.circuit, CircuitState::Closed);
}

#[test]
fn a_full_server_opens_the_circuit_after_a_second_and_is_tried_often() {
    let mut case = Case::settled();
    let start = case.now;
    let mut attempts = 0;
    while case.health.circuit() == CircuitState::Closed && attempts < 1_000 {
        let actions = case.on(Event::DialFailed(fault(Reason::ServerFull)));
        let pause = actions.iter().find_map(|action| match action {
            Action::WakeAfter(pause) => Some(*pause),
            _ => None,
        });
        let pause = pause.expect("another attempt");
        assert!(pause <= 50 * MS, "{pause:?}");
        case.now += pause;
        let actions = case.on(Event::Tick);
        assert!(matches!(actions[..], [Action::Redial(_)]), "{actions:?}");
        attempts += 1;
    }
    let took = case.now - start;
    assert!(
        took >= LIMITS.attempt_timeout && took < 1_200 * MS,
        "{took:?}"
    );
}

#[test]
fn one_kind_of_refusal_is_told_at_a_time() {
    let mut case = Case::settled();
    case.on(Event::CommandRefused(Reason::ReadOnly));
    let actions = case.on(Event::CommandRefused(Reason::OutOfMemory));
    assert!(actions.is_empty(), "{actions:?}");
    case.now += Duration::from_secs(10);
    let actions = case.on(Event::CommandRefused(Reason::OutOfMemory));
    let [Action::Publish(status)] = &actions[..] else {
        panic!("{actions:?}");
    };
    let reason = Reason::OutOfMemory;
    assert_eq!(status.state, HealthState::Degraded { reason });
}

#[test]
fn a_process_that_has_gone_takes_its_refusals_with_it() {
    for reason in [Reason::Unreachable, Reason::Loading] {
        let mut case = Case::settled();
        case.on(Event::CommandRefused(Reason::OutOfMemory));
        let fault = Fault {
            reason,
            cause: None,
        };
        case.on(Event::DialFailed(fault));
        let actions = case.on(Event::Connected(Greeting::default()));
        let healthy = |action: &Action| matches!(action, Action::Publish(status) if status.state == HealthState::Healthy);
        assert!(actions.iter().any(healthy), "{reason:?}: {actions:?}");
    }
}

#[test]
fn a_late_probe_says_nothing_and_another_attempt_follows() {
    let mut case = Case::opened();
    case.on(Event::Reset);
    let (epoch, result) = (case.epoch - 1, Ok(Greeting::default()));
    let actions = case.on(Event::Probed { epoch, result });
    assert!(
        matches!(actions[..], [Action::AwaitEndpoint]),
        "{actions:?}"
    );
    let status = case.health.status(case.now);
    let reason = Reason::Unresponsive;
    assert_eq!(status.state, HealthState::Degraded { reason });
}

#[test]
fn unanswered_commands_open_the_circuit_unless_others_succeed() {
    let mut case = Case::settled();
    case.look(4);
    assert_eq!(case.health.circuit(), CircuitState::Closed);
    for _ in 0..100 {
        case.counts.calls += 1_000;
        case.on(Event::CommandSucceeded);
        case.look(50);
        assert_eq!(case.health.circuit(), CircuitState::Closed);
    }
    case.look(1);
    assert_eq!(case.health.circuit(), CircuitState::Open);
}

#[test]
fn commands_of_an_earlier_epoch_say_nothing_when_they_become_slow() {
    let mut case = Case::opened();
    case.on(Event::Reset);
    let start = case.now;
    while case.now - start < LIMITS.attempt_timeout {
        case.look(50);
        assert_eq!(case.health.circuit(), CircuitState::Closed);
    }
    case.look(50);
    assert_eq!(case.health.circuit(), CircuitState::Open);
}

#[test]
fn an_endpoint_is_asked_once_for_all_and_tells_all_at_once() {
    let now = Instant::now();
    let mut endpoint = Endpoint::new();
    let (first, start) = endpoint.wait("one", now, 0.0);
    assert_eq!(start, Some(25 * MS));
    assert_eq!(endpoint.wait("two", now, 0.0), (first, None));
    assert!(endpoint.failed(now, 0.0).is_some());
    endpoint.reached(&"one");
    let answered: Vec<_> = endpoint.answered(|| 1.0).collect();
    assert_eq!(answered, [("two", Duration::ZERO)], "it is alone");
    for name in ["one", "two", "three"] {
        endpoint.wait(name, now, 0.0);
    }
    let answered: Vec<_> = endpoint.answered(|| 0.5).collect();
    let pauses = answered.iter().map(|(_, pause)| *pause);
    assert_eq!(pauses.max(), Some(3 * MS / 2));
    assert_eq!(endpoint.failed(now, 0.0), None, "no database waits");
}
