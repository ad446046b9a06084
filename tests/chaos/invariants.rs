//! What must hold whatever happens. Each check is a function of what was seen.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use redis::Value;
use redis_steward::{Error, Execution};

use crate::history::{Call, Counter, History, Members, Outcome, Tally, What, Written, value};
use crate::site::{CANARY, TIMEOUT};

pub(crate) type Check = Result<(), Violation>;

#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// A reply reaches the caller of its command or nobody.
    OwnReply,
    /// A counter is at least what was acknowledged, and at most that and what is uncertain.
    Counter,
    /// What was not sent or not executed is not there; what was acknowledged is.
    Execution,
    /// Every call ends by its deadline, in one way.
    Deadline,
    /// A database has one connection of the pool, and few on top of it.
    Connections,
    /// A database is well again soon after the last fault.
    Recovery,
    /// What happens to one database is nothing to the others.
    Isolation,
    /// The events tell the whole story.
    Events,
    /// Nobody reads a secret.
    Secrecy,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.what)
    }
}

/// Machines that run tests are busy: a call's end is measured by a task that has to get a turn. On an
/// idle machine it comes within 50 ms.
const SLACK: Duration = Duration::from_secs(1);

pub(crate) fn check(invariant: Invariant, holds: bool, what: impl FnOnce() -> String) -> Check {
    match holds {
        true => Ok(()),
        false => Err(Violation {
            invariant,
            what: what(),
        }),
    }
}

/// A reply, against the history that has it already.
pub(crate) fn own_reply(call: Call, reply: &Value, history: &History) -> Check {
    let own = |bytes| value(history.caller, call.sequence, bytes);
    let is_right = match (call.what, reply) {
        (What::Count, Value::Int(found)) => return counter(history.counter, *found),
        (What::Join, Value::Int(1)) | (What::Write(_), Value::Okay) => true,
        (What::Echo(bytes), Value::BulkString(echoed)) => *echoed == own(bytes).into_bytes(),
        (What::Read, Value::Nil) => history.written.acknowledged.is_none(),
        (What::Read, Value::BulkString(found)) => {
            return written(history.caller, &history.written, found);
        }
        _ => false,
    };
    check(Invariant::OwnReply, is_right, || {
        format!("{call:?} was answered with {}", shown(reply))
    })
}

/// What was read of a caller's value.
fn written(caller: u64, written: &Written, found: &[u8]) -> Check {
    let fields = std::str::from_utf8(found).ok().and_then(|text| {
        let mut fields = text.splitn(4, ':').map(str::parse::<u64>);
        let mut next = || fields.next()?.ok();
        Some((next()?, next()?, next()?))
    });
    let is_own = fields.is_some_and(|(by, sequence, bytes)| {
        by == caller && found == value(caller, sequence, bytes as usize).as_bytes()
    });
    check(Invariant::OwnReply, is_own, || {
        format!("caller {caller} read {}", excerpt(found))
    })?;
    let (_, sequence, _) = fields.expect("BUG: it was just looked at");
    let may_be = written.acknowledged == Some(sequence) || written.uncertain.contains(&sequence);
    check(Invariant::Execution, may_be, || {
        format!("caller {caller} read #{sequence}, of {written:?}")
    })
}

/// What a counter was found to be.
pub(crate) fn counter(counter: Counter, found: i64) -> Check {
    let least = counter.acknowledged as i64;
    let most = least + counter.uncertain as i64;
    let holds = (least..=most).contains(&found);
    check(Invariant::Counter, holds, || {
        format!("a counter is {found}, after {counter:?}")
    })
}

/// What a set was found to hold.
pub(crate) fn members(members: &Members, found: &[u64]) -> Check {
    let missing = members.present.iter().find(|it| !found.contains(it));
    let denied = found.iter().find(|it| members.absent.contains(it));
    let stray = found
        .iter()
        .find(|it| !members.present.contains(it) && !members.uncertain.contains(it));
    let holds = missing.or(denied).or(stray).is_none();
    check(Invariant::Execution, holds, || {
        format!(
            "acknowledged and missing: {missing:?}; denied and there: {denied:?}; \
             from nowhere: {stray:?}"
        )
    })
}

/// `stall` is how long the machine itself has stood still at worst: while no thread runs, no deadline
/// is kept.
pub(crate) fn in_time(took: Duration, stall: Duration) -> Check {
    check(Invariant::Deadline, took <= TIMEOUT + SLACK + stall, || {
        format!("a call took {took:?}, and the machine stood still for {stall:?}")
    })
}

pub(crate) fn ended_once(tally: Tally) -> Check {
    let ended = tally.succeeded + tally.failed + tally.cancelled;
    check(Invariant::Deadline, tally.submitted == ended, || {
        format!("{tally:?}")
    })
}

/// No call of this run is one that fails after it was executed.
pub(crate) fn plausible(error: &Error) -> Check {
    let holds = error.execution() != Execution::Executed;
    check(Invariant::Execution, holds, || format!("{error}"))
}

/// A database that nothing was done to answers every call.
pub(crate) fn undisturbed(outcome: &Outcome) -> Check {
    match outcome {
        Outcome::Failed(error) => check(Invariant::Isolation, false, || error.to_string()),
        Outcome::Replied(_) | Outcome::Cancelled => Ok(()),
    }
}

pub(crate) fn free_of_secrets(text: &str) -> Check {
    check(Invariant::Secrecy, !text.contains(CANARY), || {
        text.to_owned()
    })
}

/// All of what a server holds at the end, of one caller. `read` asks for a key.
pub(crate) fn on_server(
    history: &History,
    mut read: impl FnMut(&str, &str) -> Value,
) -> Vec<Check> {
    let caller = history.caller;
    let found = match read("GET", &format!("counter:{caller}")) {
        Value::Nil => 0,
        found => redis::from_redis_value(found).expect("a number"),
    };
    let set = read("SMEMBERS", &format!("members:{caller}"));
    let set: Vec<u64> = redis::from_redis_value(set).expect("numbers");
    let last = Call {
        sequence: u64::MAX,
        what: What::Read,
    };
    let value = read("GET", &format!("value:{caller}"));
    vec![
        counter(history.counter, found),
        members(&history.members, &set),
        own_reply(last, &value, history),
        ended_once(history.tally),
    ]
}

/// Violations, counted by what they violate.
pub(crate) fn by_invariant(violations: &[Violation]) -> BTreeMap<Invariant, usize> {
    let mut counts = BTreeMap::new();
    for violation in violations {
        *counts.entry(violation.invariant).or_default() += 1;
    }
    counts
}

fn shown(reply: &Value) -> String {
    match reply {
        Value::BulkString(bytes) => excerpt(bytes),
        other => format!("{other:?}"),
    }
}

fn excerpt(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(60)];
    format!(
        "{:?} ({} bytes)",
        String::from_utf8_lossy(start),
        bytes.len()
    )
}
