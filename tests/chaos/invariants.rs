//! The invariants of a run, numbered in `docs/faults.md`. Each check is a function of observations.

use std::{collections::BTreeMap, fmt, time::Duration};

use redis::Value;
use redis_steward::{Error, Execution};

use crate::{
    history::{Call, Counter, History, Members, Operation, Outcome, Queue, Tally, Written, value},
    keys::{self, SEVERAL},
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
    let caller = history.caller;
    let own = |bytes| value(caller, call.sequence, bytes);
    let is_right = match (call.operation, reply) {
        (Operation::Count | Operation::CountOnLease, Value::Int(found)) => {
            return counter(history.counter, *found);
        }
        (Operation::CountAndRead, Value::Array(replies)) => match &replies[..] {
            [Value::Int(found), read] => {
                counter(history.counter, *found)?;
                return written(caller, &history.written, read);
            }
            _ => false,
        },
        (Operation::Join, Value::Int(1)) | (Operation::Write(_), Value::Okay) => true,
        (Operation::WriteSeveral, Value::Okay) => true,
        (Operation::Echo(bytes), Value::BulkString(echoed)) => *echoed == own(bytes).into_bytes(),
        (Operation::Read, read) => return written(caller, &history.written, read),
        (Operation::ReadSeveral, Value::Array(values)) if values.len() == SEVERAL => {
            let mut places = values.iter().enumerate();
            return places.try_for_each(|(place, value)| several(history, place, value));
        }
        // A replica may be behind.
        (Operation::ReadReplica, Value::Nil) => true,
        (Operation::ReadReplica, Value::BulkString(found)) => {
            return own_value(caller, found).map(|_| ());
        }
        (Operation::Push, Value::Int(length)) => *length > 0,
        (Operation::Pop, Value::Nil) => return delivered(&history.queue, 0),
        (Operation::Pop, Value::Array(popped)) => match &popped[..] {
            [Value::BulkString(key), element] if *key == keys::list(caller).into_bytes() => {
                return once(&history.queue, element);
            }
            _ => false,
        },
        _ => false,
    };
    check(Invariant::OwnReply, is_right, || {
        format!("{call:?} was answered with {}", shown(reply))
    })
}

/// Checks a value that was read.
fn written(caller: u64, written: &Written, read: &Value) -> Check {
    match read {
        Value::Nil => check(Invariant::Execution, written.acknowledged.is_none(), || {
            format!("caller {caller} read nothing, of {written:?}")
        }),
        Value::BulkString(found) => {
            let Own { sequence, .. } = own_value(caller, found)?;
            let may_be =
                written.acknowledged == Some(sequence) || written.uncertain.contains(&sequence);
            check(Invariant::Execution, may_be, || {
                format!("caller {caller} read #{sequence}, of {written:?}")
            })
        }
        other => check(Invariant::OwnReply, false, || {
            format!("caller {caller} read {}", shown(other))
        }),
    }
}

/// Checks one of several values that were read together.
fn several(history: &History, place: usize, read: &Value) -> Check {
    if let Value::BulkString(found) = read {
        let own = own_value(history.caller, found)?;
        let is_at_place = own.bytes == keys::bytes_at(place) as u64;
        check(Invariant::OwnReply, is_at_place, || {
            format!("at place {place} is {}", excerpt(found))
        })?;
    }
    written(history.caller, &history.several, read)
}

/// What a value tells of the call that wrote it.
struct Own {
    sequence: u64,
    bytes: u64,
}

/// Checks that a caller has written this value.
fn own_value(caller: u64, found: &[u8]) -> Result<Own, Violation> {
    let fields = std::str::from_utf8(found).ok().and_then(|text| {
        let mut fields = text.splitn(4, ':').map(str::parse::<u64>);
        let mut next = || fields.next()?.ok();
        Some((next()?, next()?, next()?))
    });
    let fields = fields.filter(|(by, sequence, bytes)| {
        *by == caller && found == value(caller, *sequence, *bytes as usize).as_bytes()
    });
    match fields {
        Some((_, sequence, bytes)) => Ok(Own { sequence, bytes }),
        None => Err(Violation {
            invariant: Invariant::OwnReply,
            detail: format!("caller {caller} read {}", excerpt(found)),
        }),
    }
}

/// Checks an element of the list that was popped.
fn once(queue: &Queue, element: &Value) -> Check {
    let Some(number) = Queue::number(element) else {
        return check(Invariant::OwnReply, false, || {
            format!("{} was popped", shown(element))
        });
    };
    let was_pushed = queue.pushed.contains(&number) || queue.uncertain.contains(&number);
    let times = queue.popped.get(&number).copied().unwrap_or_default();
    check(Invariant::Execution, was_pushed && times <= 1, || {
        format!("{number} was popped {times} times, of {queue:?}")
    })
}

/// Checks that all elements but so many have been popped, or taken along by a pop without a reply.
fn delivered(queue: &Queue, left: u64) -> Check {
    let is_due = |number: &&u64| !queue.popped.contains_key(number);
    let due = queue.pushed.iter().filter(is_due).count() as u64;
    check(Invariant::Execution, due <= left + queue.lost_pops, || {
        format!("{left} are left of {queue:?}")
    })
}

/// Checks the elements that are left in the list.
pub(crate) fn left(queue: &Queue, found: &[u64]) -> Check {
    let stray = found.iter().find(|number| {
        let was_pushed = queue.pushed.contains(number) || queue.uncertain.contains(number);
        !was_pushed || queue.popped.contains_key(number)
    });
    check(Invariant::Execution, stray.is_none(), || {
        format!("{stray:?} is left of {queue:?}")
    })?;
    let pushed = found.iter().filter(|number| queue.pushed.contains(number));
    delivered(queue, pushed.count() as u64)
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
pub(crate) fn in_time(operation: Operation, took: Duration, stall: Duration) -> Check {
    let limit = operation.limit() + SLACK + stall;
    check(Invariant::Deadline, took <= limit, || {
        format!("a call took {took:?}, and the machine stood still for {stall:?}")
    })
}

pub(crate) fn ended_once(tally: Tally) -> Check {
    let ended = tally.succeeded + tally.failed + tally.cancelled;
    check(Invariant::Deadline, tally.submitted == ended, || {
        format!("{tally:?}")
    })
}

/// In this run no command fails after its execution. Of several commands one may have run, and another have failed.
pub(crate) fn plausible(operation: Operation, error: &Error) -> Check {
    let holds = operation.has_several_commands() || error.execution() != Execution::Executed;
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

/// Checks all data of one caller on the server at the end. `read` asks a command about a key.
pub(crate) fn on_server(
    history: &History,
    mut read: impl FnMut(&str, &str, &[&str]) -> Value,
) -> Vec<Check> {
    let caller = history.caller;
    let found = match read("GET", &keys::counter(caller), &[]) {
        Value::Nil => 0,
        found => redis::from_redis_value(found).expect("a number"),
    };
    let set = read("SMEMBERS", &keys::members(caller), &[]);
    let set: Vec<u64> = redis::from_redis_value(set).expect("numbers");
    let list = read("LRANGE", &keys::list(caller), &["0", "-1"]);
    let list: Vec<u64> = redis::from_redis_value(list).expect("numbers");
    let value = read("GET", &keys::value(caller), &[]);
    let mut checks = vec![
        counter(history.counter, found),
        members(&history.members, &set),
        left(&history.queue, &list),
        written(caller, &history.written, &value),
        ended_once(history.tally),
    ];
    let places = keys::several(caller).into_iter().enumerate();
    checks.extend(places.map(|(place, key)| several(history, place, &read("GET", &key, &[]))));
    checks
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
