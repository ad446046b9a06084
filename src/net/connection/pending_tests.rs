//! Goal: a command that the server does not answer in time counts as evidence once, whatever its caller does.
//! Method: one entry without a reply, checked ten times a second for five seconds.

use std::time::Duration;

use super::*;
use crate::net::{InFlight, Origin, reply::Reply};

/// The time after which the entry is slow.
const SLOW: Duration = Duration::from_millis(800);
const EARLY: Duration = Duration::from_millis(500);
const LATE: Duration = Duration::from_millis(2_000);
/// Longer than any test.
const NEVER: Duration = Duration::from_secs(1_000);
const SECOND: Duration = Duration::from_secs(1);

/// The counts of one request with this deadline, slow after `slow`, whose caller goes at `goes`.
fn counts(deadline: Duration, slow: Duration, goes: Duration) -> Tally {
    let start = Instant::now();
    let permit = InFlight::new(None, 1, 1).enter(1).expect("room");
    let (responder, answer) = Responder::new(permit);
    let mut answer = Some(answer);
    let mut pending = PendingReplies::new(Origin::Connection(0));
    let (deadline, slow) = (start + deadline, start + slow);
    pending.push(responder, Expected::One, false, times(deadline, slow), 0);
    let mut tally = Tally::default();
    for step in 0..50 {
        let now = SECOND / 10 * step;
        if goes <= now {
            answer = None;
        }
        pending.watch(start + now, &mut tally);
    }
    drop(answer);
    tally
}

fn times(deadline: Instant, slow: Instant) -> Times {
    let began = None;
    Times {
        began,
        deadline,
        slow,
    }
}

#[test]
fn a_waiting_caller_reports_its_timeout_itself() {
    let tally = counts(LATE, SLOW, NEVER);
    let counted = (tally.slow, tally.unanswered, tally.timed_out);
    assert_eq!(counted, (1, 0, 1));
}

#[test]
fn the_connection_reports_a_slow_command_whose_caller_has_gone() {
    let tally = counts(LATE, SLOW, EARLY);
    let counted = (tally.slow, tally.unanswered, tally.cancelled);
    assert_eq!(counted, (0, 1, 1));
}

#[test]
fn the_connection_reports_a_slow_command_whose_caller_timed_out_early() {
    let tally = counts(EARLY, SLOW, NEVER);
    let counted = (tally.slow, tally.unanswered, tally.timed_out);
    assert_eq!(counted, (0, 1, 1));
}

#[test]
fn the_connection_reports_a_slow_command_whose_caller_goes_before_its_deadline() {
    let tally = counts(LATE, SLOW, SECOND);
    let counted = (tally.slow, tally.unanswered, tally.cancelled);
    assert_eq!(counted, (1, 1, 1));
}

#[test]
fn the_connection_reports_a_slow_command_whose_caller_wants_no_answer() {
    let start = Instant::now();
    for deadline in [EARLY, LATE] {
        let permit = InFlight::new(None, 1, 1).enter(1).expect("room");
        let responder = Responder::unheard(permit);
        let mut pending = PendingReplies::new(Origin::Connection(0));
        let (deadline, slow) = (start + deadline, start + SLOW);
        pending.push(responder, Expected::One, false, times(deadline, slow), 0);
        let mut tally = Tally::default();
        pending.watch(start + EARLY, &mut tally);
        assert_eq!((tally.slow, tally.unanswered), (0, 0));
        pending.watch(start + SLOW, &mut tally);
        assert_eq!((tally.slow, tally.unanswered), (0, 1));
        pending.watch(start + LATE, &mut tally);
        let counted = (tally.unanswered, tally.abandoned, tally.timed_out);
        assert_eq!(counted, (1, 0, 1), "it is one failed call");
    }
}

#[test]
fn a_command_that_may_block_is_never_unanswered() {
    for goes in [EARLY, NEVER] {
        let tally = counts(LATE, NEVER, goes);
        assert_eq!((tally.slow, tally.unanswered), (0, 0));
    }
}

/// The answer to the request at the head, once these values have come.
fn answer_after(values: Vec<Value>, expected: Expected) -> (Reply, Option<Value>, Tally) {
    let now = Instant::now();
    let permit = InFlight::new(None, 1, 1).enter(1).expect("room");
    let (responder, answer) = Responder::new(permit);
    let mut pending = PendingReplies::new(Origin::Connection(0));
    pending.push(responder, expected, false, times(now + LATE, now + SLOW), 0);
    pending.introduce_last();
    let mut tally = Tally::default();
    let last = values.len() - 1;
    let mut introduction = None;
    for (place, value) in values.into_iter().enumerate() {
        let decoded = Decoded::Value(value);
        let is_complete = pending.deliver(decoded, 1, &mut tally).expect("in step");
        assert_eq!(is_complete, place == last);
        introduction = introduction.or(pending.take_introduction());
    }
    assert!(pending.is_empty());
    let answer = futures_executor::block_on(answer).expect("an answer");
    let answer = answer.expect("a reply");
    (answer.reply, introduction, tally)
}

#[test]
fn the_answer_to_a_question_of_the_connection_is_no_reply_to_the_request_behind_it() {
    let (reply, introduction, tally) = answer_after(vec![Value::Int(7), Value::Nil], Expected::One);
    assert!(matches!(reply, Reply::One(Value::Nil)), "{reply:?}");
    assert_eq!((introduction, tally.succeeded), (Some(Value::Int(7)), 1));

    let values = vec![Value::Int(7), Value::Nil, Value::Okay];
    let (reply, introduction, tally) = answer_after(values, Expected::Many(2));
    assert_eq!(reply.into_many(), [Value::Nil, Value::Okay]);
    assert_eq!((introduction, tally.succeeded), (Some(Value::Int(7)), 1));
}
