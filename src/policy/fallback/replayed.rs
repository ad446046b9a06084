//! What has become of a change at the server.

use crate::{
    execution::Execution,
    policy::outcome::{Outcome, RetryAdvice, Verdict},
};

/// What has become of one command of a lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replayed {
    Done,
    /// The server will never make it: the key has a value of another type there, or the like.
    Refused,
    /// The server did not make it, and may do so later.
    NotYet,
    /// It was not sent.
    NotSent,
    /// It may have been made.
    Unknown,
}

impl Replayed {
    /// The end of a command that was answered with an error of this classification.
    pub(crate) fn of_error(outcome: Outcome) -> Self {
        let may_come = outcome.again != RetryAdvice::Never || outcome.verdict != Verdict::Healthy;
        match outcome.execution {
            Execution::NotSent => Self::NotSent,
            Execution::NotExecuted if may_come => Self::NotYet,
            Execution::NotExecuted => Self::Refused,
            // An error whose meaning is not known is an answer all the same.
            Execution::Executed | Execution::Unknown => Self::Refused,
        }
    }

    /// The end of commands that were not answered.
    pub(crate) fn of_unanswered(execution: Execution) -> Self {
        match execution {
            Execution::NotSent => Self::NotSent,
            Execution::NotExecuted => Self::NotYet,
            Execution::Executed | Execution::Unknown => Self::Unknown,
        }
    }
}

/// How many of a lot had which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) done: u64,
    pub(crate) refused: u64,
    /// They may have been made, and are not made again.
    pub(crate) in_doubt: u64,
}
