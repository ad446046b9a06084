//! Goal: callers that wait pass in order, as soon as they may, and each is told by its deadline.

use std::time::Duration;

use futures_util::FutureExt as _;

use super::*;
use crate::net::Executor;

fn gate(max_waiting: usize) -> Arc<Gate> {
    Gate::new(max_waiting, Arc::new(Executor::new(None)))
}

fn set(gate: &Arc<Gate>, gate_state: GateState) {
    gate.begin(gate_state);
    gate.admit_waiting();
}

type Wait = AsyncReceiver<Result<Admitted, NotAdmitted>>;

/// The answer, if there is one by now.
fn answer(waiting: &mut Wait) -> Option<Result<Admitted, NotAdmitted>> {
    let answer = waiting.now_or_never()?;
    Some(answer.expect("an answer for each"))
}

fn refusal(waiting: &mut Wait) -> Option<NotAdmitted> {
    answer(waiting)?.err()
}

/// Far away, so that the keeper has nothing to do.
fn late() -> Instant {
    Instant::now() + Duration::from_secs(3_600)
}

#[test]
fn callers_that_wait_pass_in_order_as_trials_come_back_and_all_when_the_circuit_closes() {
    let gate = gate(100);
    set(&gate, GateState::Trial { at_once: 2 });
    let mut waits: Vec<_> = (0..6).map(|_| gate.wait(late(), false)).collect();
    let first = answer(&mut waits[0]);
    let second = answer(&mut waits[1]);
    assert!(first.is_some() && second.is_some());
    assert!(answer(&mut waits[2]).is_none(), "two at a time");
    drop(first);
    let third = answer(&mut waits[2]).expect("an answer");
    assert!(third.expect("a trial").is_trial());
    drop(second);
    set(&gate, GateState::Free);
    // The second and the third trial came back before.
    let is_trial = waits[3..].iter_mut().map(|waiting| {
        let admitted = answer(waiting).expect("an answer");
        admitted.expect("it may pass").is_trial()
    });
    assert_eq!(is_trial.collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(gate.waiting(), 0);
}

#[test]
fn an_opening_circuit_refuses_those_that_do_not_wait_for_recovery() {
    let gate = gate(100);
    set(&gate, GateState::Trial { at_once: 0 });
    let mut impatient = gate.wait(late(), false);
    let mut patient = gate.wait(late(), true);
    set(&gate, GateState::Open);
    let refused = NotAdmitted::Refused(GateState::Open);
    assert_eq!(refusal(&mut impatient), Some(refused));
    assert!(answer(&mut patient).is_none(), "it waits on");
    set(&gate, GateState::Isolated);
    let refused = NotAdmitted::Refused(GateState::Isolated);
    assert_eq!(refusal(&mut patient), Some(refused));
}

#[test]
fn callers_beyond_the_bound_are_refused_and_those_that_have_gone_make_room() {
    let gate = gate(2);
    set(&gate, GateState::Open);
    let (one, _two) = (gate.wait(late(), true), gate.wait(late(), true));
    let mut three = gate.wait(late(), true);
    assert_eq!(refusal(&mut three), Some(NotAdmitted::TooManyWait));
    drop(one);
    assert!(answer(&mut gate.wait(late(), true)).is_none(), "it waits");
}

#[test]
fn a_caller_that_waits_is_told_at_its_deadline() {
    let gate = gate(100);
    set(&gate, GateState::Open);
    let soon = Instant::now() + Duration::from_millis(20);
    let waiting = gate.wait(soon, true);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let answer = runtime.expect("a runtime").block_on(waiting);
    let answer = answer.expect("an answer");
    assert_eq!(answer.err(), Some(NotAdmitted::TimedOut));
    assert!(Instant::now() >= soon);
}
