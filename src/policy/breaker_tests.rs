//! Goal: the circuit opens and closes by the rules, and never otherwise. Method: single cases, and random
//! events beside a simple model.

use proptest::prelude::*;

use super::*;

const RECOVERY: Duration = Duration::from_secs(1);

fn opened(now: Instant) -> Breaker {
    let mut breaker = Breaker::new(5, RECOVERY, now);
    for _ in 0..5 {
        assert_eq!(breaker.circuit(), CircuitState::Closed);
        breaker.failed(Failed::Command, now, 0.0);
    }
    assert_eq!(breaker.circuit(), CircuitState::Open);
    breaker
}

#[test]
fn a_success_resets_the_failures() {
    let now = Instant::now();
    let mut breaker = Breaker::new(5, RECOVERY, now);
    for _ in 0..100 {
        breaker.failed(Failed::Command, now, 0.0);
        breaker.failed(Failed::Attempt, now, 0.0);
        breaker.succeeded(now);
    }
    assert_eq!(breaker.circuit(), CircuitState::Closed);
}

#[test]
fn successful_probes_do_not_reset_the_failures_of_commands() {
    let now = Instant::now();
    let mut breaker = Breaker::new(5, RECOVERY, now);
    for _ in 0..4 {
        breaker.failed(Failed::Command, now, 0.0);
        breaker.probe_succeeded(now);
        assert_eq!(breaker.circuit(), CircuitState::Closed);
    }
    breaker.failed(Failed::Command, now, 0.0);
    assert_eq!(breaker.circuit(), CircuitState::Open);
}

#[test]
fn successful_probes_reset_the_failures_of_attempts() {
    let now = Instant::now();
    let mut breaker = Breaker::new(5, RECOVERY, now);
    for _ in 0..100 {
        breaker.failed(Failed::Attempt, now, 0.0);
        breaker.probe_succeeded(now);
    }
    assert_eq!(breaker.circuit(), CircuitState::Closed);
}

#[test]
fn a_probe_makes_it_half_open_and_successes_close_it() {
    let now = Instant::now();
    let mut breaker = opened(now);
    breaker.succeeded(now);
    assert_eq!(breaker.circuit(), CircuitState::Open, "a late result");
    breaker.probe_succeeded(now);
    for _ in 0..CLOSING_SUCCESSES {
        assert_eq!(breaker.circuit(), CircuitState::HalfOpen);
        breaker.succeeded(now);
    }
    assert_eq!(breaker.circuit(), CircuitState::Closed);
}

#[test]
fn relapses_lengthen_the_proof_up_to_the_recovery_timeout_and_the_pause_up_to_a_second() {
    for recovery in [RECOVERY, Duration::from_millis(200), 30 * RECOVERY] {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(1, recovery, now);
        breaker.failed(Failed::Attempt, now, 1.0);
        let mut last = breaker.proof();
        let first = Proof {
            successes: CLOSING_SUCCESSES,
            lasting: Duration::ZERO,
            trials: MOST_TRIALS,
        };
        assert_eq!((last, breaker.pause(now)), (first, Duration::ZERO));
        for _ in 0..12 {
            now += breaker.pause(now);
            breaker.probe_succeeded(now);
            assert_eq!(breaker.circuit(), CircuitState::HalfOpen);
            breaker.failed(Failed::Attempt, now, 1.0);
            assert_eq!(breaker.circuit(), CircuitState::Open);
            assert!(breaker.pause(now) <= MAX_PAUSE);
            breaker.probe_succeeded(now);
            assert_eq!(breaker.circuit(), CircuitState::Open, "the pause is kept");
            let proof = breaker.proof();
            assert!(proof.successes >= last.successes && proof.lasting >= last.lasting);
            assert!((1..=last.trials).contains(&proof.trials));
            last = proof;
        }
        assert_eq!(last.lasting, recovery);
        assert_eq!((last.successes, last.trials), (MOST_SUCCESSES, 1));
    }
}

#[test]
fn outages_again_and_again_are_probed_at_once() {
    let mut now = Instant::now();
    let mut breaker = Breaker::new(1, RECOVERY, now);
    for _ in 0..20 {
        breaker.failed(Failed::Attempt, now, 1.0);
        assert_eq!(breaker.circuit(), CircuitState::Open);
        assert_eq!(breaker.pause(now), Duration::ZERO);
        while breaker.circuit() != CircuitState::Closed {
            breaker.probe_succeeded(now);
            now += RECOVERY / MOST_SUCCESSES;
        }
    }
}

#[test]
fn a_server_that_always_fails_a_few_commands_is_used_again() {
    let mut now = Instant::now();
    let mut breaker = opened(now);
    for _ in 0..4 {
        now += breaker.pause(now);
        breaker.probe_succeeded(now);
        breaker.failed(Failed::Attempt, now, 0.0);
    }
    now += breaker.pause(now);
    breaker.probe_succeeded(now);
    for turn in 0..1_000 {
        match turn % 20 {
            7 => breaker.failed(Failed::Command, now, 0.0),
            _ => breaker.succeeded(now),
        }
        now += RECOVERY / 100;
        assert_ne!(breaker.circuit(), CircuitState::Open, "{turn}");
    }
    assert_eq!(breaker.circuit(), CircuitState::Closed);
}

#[test]
fn a_proof_takes_its_time_and_its_successes() {
    let mut now = Instant::now();
    let mut breaker = opened(now);
    breaker.probe_succeeded(now);
    breaker.failed(Failed::Attempt, now, 0.0);
    now += breaker.pause(now);
    breaker.probe_succeeded(now);
    let proof = breaker.proof();
    for _ in 0..10 * proof.successes {
        breaker.succeeded(now);
        assert_eq!(breaker.circuit(), CircuitState::HalfOpen, "it is too soon");
    }
    now += proof.lasting;
    breaker.succeeded(now);
    assert_eq!(breaker.circuit(), CircuitState::Closed);
}

/// One second with so many calls, some of which fail or are slow, but never two in a row.
fn one_second(breaker: &mut Breaker, now: Instant, calls: u64, failures: u64, slow: u64) {
    for _ in 0..failures {
        breaker.failed(Failed::Command, now, 0.0);
        breaker.succeeded(now);
    }
    breaker.observe(Observed { calls, slow }, now, 0.0);
}

#[test]
fn it_opens_when_half_of_the_recent_calls_failed() {
    let start = Instant::now();
    for (calls, failures, expected) in [
        (2, 1, CircuitState::Open),
        (3, 1, CircuitState::Closed),
        (100, 50, CircuitState::Open),
        (100, 49, CircuitState::Closed),
    ] {
        let mut breaker = Breaker::new(5, RECOVERY, start);
        for passed in 0..10 {
            assert_eq!(breaker.circuit(), CircuitState::Closed, "{passed} s");
            let now = start + Duration::from_secs(passed);
            one_second(&mut breaker, now, calls, failures, 0);
            if calls >= 20 {
                break;
            }
        }
        assert_eq!(breaker.circuit(), expected, "{failures} of {calls}");
    }
}

#[test]
fn few_recent_calls_do_not_open_it_by_their_ratio() {
    let start = Instant::now();
    let mut breaker = Breaker::new(5, RECOVERY, start);
    for passed in 0..100 {
        let now = start + Duration::from_secs(passed);
        // 19 calls in ten seconds.
        one_second(&mut breaker, now, 1 + u64::from(passed % 10 != 0), 1, 1);
        assert_eq!(breaker.circuit(), CircuitState::Closed);
    }
}

#[test]
fn it_opens_when_most_of_the_recent_calls_were_slow() {
    let start = Instant::now();
    let slow = |slow| {
        let mut breaker = Breaker::new(5, RECOVERY, start);
        let seen = Observed { calls: 100, slow };
        (breaker.observe(seen, start, 0.0), breaker.circuit())
    };
    assert_eq!(slow(80), (Some(Excess::Slowness), CircuitState::Open));
    assert_eq!(slow(79), (None, CircuitState::Closed));
}

#[test]
fn an_isolated_circuit_stays_open_until_it_is_reset() {
    let now = Instant::now();
    let mut breaker = Breaker::new(5, RECOVERY, now);
    breaker.isolate();
    for _ in 0..10 {
        breaker.probe_succeeded(now);
        breaker.succeeded(now);
        assert_eq!(breaker.circuit(), CircuitState::Open);
    }
    breaker.reset(now);
    assert_eq!(breaker.circuit(), CircuitState::Closed);
    let mut open = opened(now);
    open.reset(now);
    assert_eq!(open.circuit(), CircuitState::Closed);
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    CommandFails,
    AttemptFails,
    Success,
    ProbeSucceeds,
    CallsEnded(Observed),
}

impl Event {
    fn of(kind: u8) -> Self {
        match kind {
            0 => Self::CommandFails,
            1 => Self::AttemptFails,
            2 => Self::Success,
            3 => Self::ProbeSucceeds,
            4 => Self::CallsEnded(Observed { calls: 4, slow: 3 }),
            _ => Self::CallsEnded(Observed { calls: 3, slow: 3 }),
        }
    }

    fn happen(self, breaker: &mut Breaker, now: Instant) {
        match self {
            Self::CommandFails => breaker.failed(Failed::Command, now, 0.5),
            Self::AttemptFails => breaker.failed(Failed::Attempt, now, 0.5),
            Self::Success => breaker.succeeded(now),
            Self::ProbeSucceeds => breaker.probe_succeeded(now),
            Self::CallsEnded(seen) => drop(breaker.observe(seen, now, 0.5)),
        }
    }
}

/// The naive model: whether the history, with the second of each event, opens the circuit. It reads the
/// whole history each time.
fn model_opens(history: &[(u64, Event)]) -> bool {
    let events = || history.iter().rev().map(|(_, event)| *event);
    let commands = events()
        .take_while(|event| *event != Event::Success)
        .filter(|event| *event == Event::CommandFails);
    let attempts = events()
        .take_while(|event| !matches!(event, Event::Success | Event::ProbeSucceeds))
        .filter(|event| *event == Event::AttemptFails);
    if commands.count() + attempts.count() >= 3 {
        return true;
    }
    let Some((now, Event::CallsEnded(_))) = history.last() else {
        return false;
    };
    let recent = history.iter().filter(|(second, _)| second + 10 > *now);
    let (mut calls, mut failures, mut slow) = (0, 0, 0);
    for (_, event) in recent {
        match event {
            Event::CommandFails => failures += 1,
            Event::CallsEnded(seen) => {
                calls += seen.calls;
                slow += seen.slow;
            }
            _ => {}
        }
    }
    (calls.max(failures) >= 20 && 2 * failures >= calls)
        || (calls.max(slow) >= 20 && 10 * slow >= 8 * calls)
}

proptest! {
    /// A closed breaker opens exactly when the naive model of its history does.
    #[test]
    fn it_opens_exactly_when_the_model_does(
        events in prop::collection::vec((0..6_u8, 0..3_000_u64), 0..300),
    ) {
        let start = Instant::now();
        let mut breaker = Breaker::new(3, RECOVERY, start);
        let mut history = Vec::new();
        let mut millis = 0;
        for (kind, gap) in events {
            millis += gap;
            let event = Event::of(kind);
            event.happen(&mut breaker, start + Duration::from_millis(millis));
            history.push((millis / 1_000, event));
            let is_open = breaker.circuit() == CircuitState::Open;
            prop_assert_eq!(is_open, model_opens(&history), "{:?}", history);
            if is_open {
                return Ok(());
            }
        }
    }

    /// After any events, probes and successes close the circuit.
    #[test]
    fn probes_and_successes_close_it_after_any_events(
        events in prop::collection::vec(0..5_u8, 0..200),
    ) {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(3, RECOVERY, now);
        for event in events {
            match event {
                0 => breaker.failed(Failed::Command, now, 0.5),
                1 => breaker.failed(Failed::Attempt, now, 0.5),
                2 => breaker.succeeded(now),
                3 => breaker.trip(now, 0.5),
                _ => breaker.probe_succeeded(now),
            }
            now += Duration::from_millis(100);
        }
        now += breaker.pause(now);
        for _ in 0..=MOST_SUCCESSES {
            breaker.probe_succeeded(now);
            now += RECOVERY / MOST_SUCCESSES;
        }
        breaker.succeeded(now);
        prop_assert_eq!(breaker.circuit(), CircuitState::Closed);
    }
}
