//! The calls of one caller and their outcomes.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    time::Duration,
};

use redis::Value;
use redis_steward::{Error, Execution};

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
    recent: VecDeque<String>,
}

/// Calls, counted by their end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) submitted: u64,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) cancelled: u64,
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
            recent: VecDeque::new(),
        }
    }

    pub(crate) fn note(&mut self, call: Call, outcome: &Outcome, at: Duration, took: Duration) {
        self.tally.submitted += 1;
        match outcome {
            Outcome::Replied(_) => self.tally.succeeded += 1,
            Outcome::Failed(_) => self.tally.failed += 1,
            Outcome::Cancelled => self.tally.cancelled += 1,
        }
        self.note_effect(call, outcome.effect());
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
            (Operation::Count, Effect::Certain) => self.counter.acknowledged += 1,
            (Operation::Count, Effect::Uncertain) => self.counter.uncertain += 1,
            (Operation::Join, Effect::Certain) => {
                self.members.present.insert(sequence);
            }
            (Operation::Join, Effect::Uncertain) => {
                self.members.uncertain.insert(sequence);
            }
            (Operation::Join, Effect::None) => {
                self.members.absent.insert(sequence);
            }
            (Operation::Write(_), Effect::Certain) => self.written.acknowledged = Some(sequence),
            (Operation::Write(_), Effect::Uncertain) => {
                self.written.uncertain.insert(sequence);
            }
            (Operation::Count | Operation::Write(_), Effect::None)
            | (Operation::Read | Operation::Echo(_), _) => {}
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
