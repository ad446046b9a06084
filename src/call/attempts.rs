//! One attempt of a call, and the sum of all its attempts.

use std::time::Duration;

use tokio::time::Instant;

use super::CallOptions;
use crate::{execution::Execution, state::Admitted};

/// One attempt.
pub(super) struct Attempt {
    pub(super) admitted: Admitted,
    pub(super) deadline: Instant,
}

/// All attempts of a call together.
#[derive(Clone, Copy)]
pub(super) struct Attempts {
    pub(super) count: u32,
    /// Whether any attempt may have run the command.
    pub(super) execution: Execution,
    pub(super) timeout: Duration,
}

impl Attempts {
    /// A call that waited up to its timeout and was not sent.
    pub(super) fn not_sent(timeout: Duration) -> Self {
        Self {
            count: 1,
            execution: Execution::NotSent,
            timeout,
        }
    }

    /// A call whose first attempt succeeded.
    pub(super) fn first_try(options: &CallOptions) -> Self {
        Self {
            count: 1,
            execution: Execution::Executed,
            timeout: options.timeout,
        }
    }
}
