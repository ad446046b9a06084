//! One attempt of a call, and the sum of all its attempts.

use std::time::Duration;

use tokio::time::Instant;

use super::CallOptions;
use crate::{
    execution::{Execution, Source},
    state::Admitted,
};

/// One attempt.
pub(super) struct Attempt {
    pub(super) admitted: Admitted,
    /// The begin of the call, not of the attempt.
    pub(super) began: Instant,
    pub(super) deadline: Instant,
}

/// All attempts of a call together.
#[derive(Clone, Copy)]
pub(super) struct Attempts {
    pub(super) count: u32,
    /// Whether any attempt may have run the command.
    pub(super) execution: Execution,
    pub(super) timeout: Duration,
    /// Where the reply comes from.
    pub(super) source: Source,
}

impl Attempts {
    /// A call that waited up to its timeout and was not sent.
    pub(super) fn not_sent(timeout: Duration) -> Self {
        Self {
            count: 1,
            execution: Execution::NotSent,
            timeout,
            source: Source::Redis,
        }
    }

    /// A call whose first attempt succeeded.
    pub(super) fn first_try(options: &CallOptions) -> Self {
        Self {
            count: 1,
            execution: Execution::Executed,
            timeout: options.timeout,
            source: Source::Redis,
        }
    }

    /// A call that was not sent, and served by a store in this process.
    pub(super) fn served_locally(options: &CallOptions) -> Self {
        Self {
            source: Source::Memory,
            ..Self::not_sent(options.timeout)
        }
    }
}
