//! One attempt of a call, and all of them together.

use std::time::Duration;

use tokio::time::Instant;

use super::CallOptions;
use crate::{execution::Execution, state::Admitted};

/// How an attempt was made.
pub(super) struct Attempt {
    pub(super) admitted: Admitted,
    pub(super) deadline: Instant,
}

/// What a call has been through.
#[derive(Clone, Copy)]
pub(super) struct Attempts {
    pub(super) count: u32,
    /// Of all attempts together.
    pub(super) execution: Execution,
    pub(super) timeout: Duration,
}

impl Attempts {
    /// A call that has waited for so long, and was not sent.
    pub(super) fn not_sent(timeout: Duration) -> Self {
        Self {
            count: 1,
            execution: Execution::NotSent,
            timeout,
        }
    }

    /// A call that went well the first time.
    pub(super) fn first_try(options: &CallOptions) -> Self {
        Self {
            count: 1,
            execution: Execution::Executed,
            timeout: options.timeout,
        }
    }
}
