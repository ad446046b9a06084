//! Goal: a command that the server does not answer in time counts once, whatever its caller does. Method:
//! one entry without a reply, looked at when its marks have passed.

use std::time::Duration;

use super::*;
use crate::net::{InFlight, Origin};

/// When the entry is slow, from the start.
const SLOW: Duration = Duration::from_millis(800);
const EARLY: Duration = Duration::from_millis(500);
const LATE: Duration = Duration::from_millis(2_000);
/// Longer than any test goes on.
const NEVER: Duration = Duration::from_secs(1_000);
const SECOND: Duration = Duration::from_secs(1);

/// Counts of one request with this deadline and this mark of slowness, whose caller goes at that time.
fn counts(deadline: Duration, slow: Duration, goes: Duration) -> Tally {
    let start = Instant::now();
    let permit = InFlight::new(1, 1).enter(1).expect("room");
    let (responder, answer) = Responder::new(permit);
    let mut answer = Some(answer);
    let mut pending = PendingReplies::new(Origin::Connection(0));
    let (deadline, slow) = (start + deadline, start + slow);
    pending.push(responder, Expected::One, deadline, slow, 0);
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

#[test]
fn a_caller_that_waits_reports_it_itself() {
    let tally = counts(LATE, SLOW, NEVER);
    let counted = (tally.slow, tally.unanswered, tally.timed_out);
    assert_eq!(counted, (1, 0, 1));
}

#[test]
fn a_caller_that_has_gone_leaves_it_to_the_connection() {
    let tally = counts(LATE, SLOW, EARLY);
    let counted = (tally.slow, tally.unanswered, tally.cancelled);
    assert_eq!(counted, (0, 1, 1));
}

#[test]
fn a_caller_in_a_hurry_leaves_it_to_the_connection() {
    let tally = counts(EARLY, SLOW, NEVER);
    let counted = (tally.slow, tally.unanswered, tally.timed_out);
    assert_eq!(counted, (0, 1, 1));
}

#[test]
fn a_caller_that_goes_between_slowness_and_its_deadline_leaves_it_to_the_connection() {
    let tally = counts(LATE, SLOW, SECOND);
    let counted = (tally.slow, tally.unanswered, tally.cancelled);
    assert_eq!(counted, (1, 1, 1));
}

#[test]
fn a_command_that_may_block_is_never_unanswered() {
    for goes in [EARLY, NEVER] {
        let tally = counts(LATE, NEVER, goes);
        assert_eq!((tally.slow, tally.unanswered), (0, 0));
    }
}
