//! The invariants of a run, numbered in `docs/faults.md`. Each check is a function of observations.

use std::{collections::BTreeMap, fmt, time::Duration};

use redis::Value;
use redis_steward::{Error, Execution};

use crate::{
    history::{Call, Counter, History, Members, Operation, Outcome, Tally, Written, value},
    site::{CANARY, TIMEOUT},
};

pub(crate) type Check = Result<(), Violation>;

#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// A reply reaches only the caller of its command.
    OwnReply,
    /// A counter is between the acknowledged increments and the acknowledged plus uncertain ones.
    Counter,
    /// Writes reported as not sent or not executed are absent; acknowledged ones are present.
    Execution,
    /// Every call ends once, by its deadline.
    Deadline,
    /// A database has one connection of the pool, and few others.
    Connections,
    /// A database is healthy again soon after the last fault.
    Recovery,
    /// Faults of one database do not affect the others.
    Isolation,
    /// The events report every change of state.
    Events,
    /// Each snapshot of the statistics is consistent, and no counter falls.
    Statistics,
    /// A subscriber receives each message, or is told that it may have missed it.
    Messages,
    /// No text contains a secret.
    Secrecy,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.detail)
    }
}

/// On a busy machine the task that measures the end of a call waits for its turn. On an idle machine
/// 50 ms are enough.
const SLACK: Duration = Duration::from_secs(1);

pub(crate) fn check(invariant: Invariant, holds: bool, detail: impl FnOnce() -> String) -> Check {
    if holds {
        return Ok(());
    }
    Err(Violation {
        invariant,
        detail: detail(),
    })
}

/// Checks a reply against the history, which contains its call.
pub(crate) fn own_reply(call: Call, reply: &Value, history: &History) -> Check {
    let own = |bytes| value(history.caller, call.sequence, bytes);
    let is_right = match (call.operation, reply) {
        (Operation::Count, Value::Int(found)) => return counter(history.counter, *found),
        (Operation::Join, Value::Int(1)) | (Operation::Write(_), Value::Okay) => true,
        (Operation::Echo(bytes), Value::BulkString(echoed)) => *echoed == own(bytes).into_bytes(),
        (Operation::Read, Value::Nil) => history.written.acknowledged.is_none(),
        (Operation::Read, Value::BulkString(found)) => {
            return written(history.caller, &history.written, found);
        }
        _ => false,
    };
    check(Invariant::OwnReply, is_right, || {
        format!("{call:?} was answered with {}", shown(reply))
    })
}

/// Checks a value that was read.
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

/// Checks the value of a counter.
pub(crate) fn counter(counter: Counter, found: i64) -> Check {
    let least = counter.acknowledged as i64;
    let most = least + counter.uncertain as i64;
    let holds = (least..=most).contains(&found);
    check(Invariant::Counter, holds, || {
        format!("a counter is {found}, after {counter:?}")
    })
}

/// Checks the members of a set.
pub(crate) fn members(members: &Members, found: &[u64]) -> Check {
    let missing = members
        .present
        .iter()
        .find(|member| !found.contains(member));
    let denied = found.iter().find(|member| members.absent.contains(member));
    let stray = found
        .iter()
        .find(|member| !members.present.contains(member) && !members.uncertain.contains(member));
    let holds = missing.or(denied).or(stray).is_none();
    check(Invariant::Execution, holds, || {
        format!(
            "acknowledged and missing: {missing:?}; denied and there: {denied:?}; \
             from nowhere: {stray:?}"
        )
    })
}

/// `stall` is the longest time without a running thread. No deadline can be kept meanwhile.
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

/// In this run no call fails after its execution.
pub(crate) fn plausible(error: &Error) -> Check {
    let holds = error.execution() != Execution::Executed;
    check(Invariant::Execution, holds, || format!("{error}"))
}

/// A database without faults answers every call, unless the machine stood still until its deadline.
pub(crate) fn undisturbed(outcome: &Outcome, stall: Duration) -> Check {
    match outcome {
        Outcome::Failed(Error::TimedOut { .. }) if stall + SLACK > TIMEOUT => Ok(()),
        Outcome::Failed(error) => check(Invariant::Isolation, false, || error.to_string()),
        Outcome::Replied(_) | Outcome::Cancelled => Ok(()),
    }
}

pub(crate) fn free_of_secrets(text: &str) -> Check {
    check(Invariant::Secrecy, !text.contains(CANARY), || {
        text.to_owned()
    })
}

/// Checks all data of one caller on the server at the end. `read` reads a key.
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
        operation: Operation::Read,
    };
    let value = read("GET", &format!("value:{caller}"));
    vec![
        counter(history.counter, found),
        members(&history.members, &set),
        own_reply(last, &value, history),
        ended_once(history.tally),
    ]
}

/// Violations, counted by invariant.
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
