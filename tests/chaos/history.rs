//! The calls of one caller and their outcomes.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    fmt,
    time::Duration,
};

use redis::Value;
use redis_steward::{Error, Execution};

use crate::site::TIMEOUT;

/// One call. The numbers of caller and call make its value unique.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) sequence: u64,
    pub(crate) operation: Operation,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    /// `INCR` of the caller's counter.
    Count,
    /// `SADD` of the sequence number to the caller's set.
    Join,
    /// `SET` of the caller's value, of this size.
    Write(usize),
    /// `GET` of the caller's value.
    Read,
    /// `ECHO` of a value of this size.
    Echo(usize),
    /// `INCR` of the caller's counter and `GET` of its value in one pipeline. In a cluster they are at two nodes.
    CountAndRead,
    /// `INCR` of the caller's counter on a leased connection.
    CountOnLease,
    /// `MSET` of several values of the caller, of which each has a size of its own.
    WriteSeveral,
    /// `MGET` of them.
    ReadSeveral,
    /// `GET` of the caller's value from a replica, if there is one.
    ReadReplica,
    /// `RPUSH` of the sequence number to the caller's list.
    Push,
    /// `BLPOP` from it.
    Pop,
}

impl Operation {
    /// How long `BLPOP` waits at most.
    pub(crate) const BLOCK: Duration = Duration::from_millis(100);

    /// Whether it needs a connection of its own.
    pub(crate) fn is_leased(self) -> bool {
        matches!(self, Self::CountOnLease | Self::Pop)
    }

    /// Whether its commands may run without each other.
    pub(crate) fn has_several_commands(self) -> bool {
        matches!(
            self,
            Self::CountAndRead | Self::WriteSeveral | Self::ReadSeveral
        )
    }

    /// The deadline of its call.
    pub(crate) fn limit(self) -> Duration {
        match self {
            Self::CountOnLease => 2 * TIMEOUT,
            Self::Pop => 2 * TIMEOUT + Self::BLOCK,
            _ => TIMEOUT,
        }
    }
}

/// The end of a call.
#[derive(Debug)]
pub(crate) enum Outcome {
    Replied(Value),
    Failed(Error),
    /// Its future was dropped.
    Cancelled,
}

impl Outcome {
    /// The caller's knowledge about the execution.
    fn effect(&self) -> Effect {
        match self {
            Self::Replied(_) => Effect::Certain,
            Self::Cancelled => Effect::Uncertain,
            Self::Failed(error) => match error.execution() {
                Execution::NotSent | Execution::NotExecuted => Effect::None,
                _ => Effect::Uncertain,
            },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Certain,
    Uncertain,
    None,
}

pub(crate) struct History {
    pub(crate) caller: u64,
    pub(crate) database: &'static str,
    pub(crate) tally: Tally,
    pub(crate) counter: Counter,
    pub(crate) members: Members,
    pub(crate) written: Written,
    pub(crate) several: Written,
    pub(crate) queue: Queue,
    recent: VecDeque<String>,
}

/// Calls, counted by their end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) submitted: u64,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) cancelled: u64,
    /// Those that were perhaps cancelled while they waited for a connection of their own. No counter has such a wait.
    pub(crate) left_waiting: u64,
}

/// Increments of the caller's counter.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counter {
    pub(crate) acknowledged: u64,
    pub(crate) uncertain: u64,
}

/// Additions to the caller's set, by their sequence number.
#[derive(Debug, Default)]
pub(crate) struct Members {
    pub(crate) present: HashSet<u64>,
    pub(crate) absent: HashSet<u64>,
    pub(crate) uncertain: HashSet<u64>,
}

/// Writes of the caller's value, by their sequence number. An uncertain write may still be executed
/// later, when a thawed server reads it from a socket buffer, and may overwrite a write that was
/// acknowledged in between.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) acknowledged: Option<u64>,
    pub(crate) uncertain: HashSet<u64>,
}

/// Numbers in the caller's list.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) pushed: HashSet<u64>,
    pub(crate) uncertain: HashSet<u64>,
    /// How often each was popped.
    pub(crate) popped: BTreeMap<u64, u32>,
    /// So many more may have been popped.
    pub(crate) lost_pops: u64,
}

impl Queue {
    /// The number of an element of the list.
    pub(crate) fn number(element: &Value) -> Option<u64> {
        redis::from_redis_value(element.clone()).ok()
    }
}

impl History {
    const RECENT: usize = 12;

    pub(crate) fn new(caller: u64, database: &'static str) -> Self {
        Self {
            caller,
            database,
            tally: Tally::default(),
            counter: Counter::default(),
            members: Members::default(),
            written: Written::default(),
            several: Written::default(),
            queue: Queue::default(),
            recent: VecDeque::new(),
        }
    }

    pub(crate) fn note(&mut self, call: Call, outcome: &Outcome, at: Duration, took: Duration) {
        match outcome {
            Outcome::Replied(_) => self.tally.succeeded += 1,
            Outcome::Failed(_) => self.tally.failed += 1,
            Outcome::Cancelled => {
                self.tally.cancelled += 1;
                self.tally.left_waiting += u64::from(call.operation.is_leased());
            }
        }
        self.note_effect(call, outcome.effect());
        if let (Operation::Pop, Outcome::Replied(Value::Array(reply))) = (call.operation, outcome)
            && let Some(number) = reply.last().and_then(Queue::number)
        {
            *self.queue.popped.entry(number).or_default() += 1;
        }
        if self.recent.len() == Self::RECENT {
            self.recent.pop_front();
        }
        let ended = match outcome {
            Outcome::Replied(_) => "replied".to_owned(),
            Outcome::Failed(error) => error.to_string(),
            Outcome::Cancelled => "cancelled".to_owned(),
        };
        let Call {
            sequence,
            operation,
        } = call;
        self.recent.push_back(format!(
            "{at:.3?} +{took:.3?} #{sequence} {operation:?}: {ended}"
        ));
    }

    fn note_effect(&mut self, call: Call, effect: Effect) {
        let sequence = call.sequence;
        match (call.operation, effect) {
            (
                Operation::Count | Operation::CountAndRead | Operation::CountOnLease,
                Effect::Certain,
            ) => self.counter.acknowledged += 1,
            (
                Operation::Count | Operation::CountAndRead | Operation::CountOnLease,
                Effect::Uncertain,
            ) => self.counter.uncertain += 1,
            (Operation::Join, Effect::Certain) => {
                self.members.present.insert(sequence);
            }
            (Operation::Join, Effect::Uncertain) => {
                self.members.uncertain.insert(sequence);
            }
            (Operation::Join, Effect::None) => {
                self.members.absent.insert(sequence);
            }
            (Operation::Write(_), effect) => self.written.note(sequence, effect),
            (Operation::WriteSeveral, effect) => self.several.note(sequence, effect),
            (Operation::Push, Effect::Certain) => {
                self.queue.pushed.insert(sequence);
            }
            (Operation::Push, Effect::Uncertain) => {
                self.queue.uncertain.insert(sequence);
            }
            (Operation::Pop, Effect::Uncertain) => self.queue.lost_pops += 1,
            _ => {}
        }
    }
}

impl Written {
    fn note(&mut self, sequence: u64, effect: Effect) {
        match effect {
            Effect::Certain => self.acknowledged = Some(sequence),
            Effect::Uncertain => {
                self.uncertain.insert(sequence);
            }
            Effect::None => {}
        }
    }
}

/// The last calls, for the analysis of a violation.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n  caller {} of {}:", self.caller, self.database)?;
        for line in &self.recent {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

/// A value that names its caller and call, of at least this size.
pub(crate) fn value(caller: u64, sequence: u64, bytes: usize) -> String {
    let nonce = format!("{caller}:{sequence}:{bytes}:");
    nonce.repeat(bytes.div_ceil(nonce.len()).max(1))
}
