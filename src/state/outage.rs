//! The record of an open circuit, from which the errors of refused calls are made.

use std::sync::Arc;

use tokio::time::Instant;

use crate::events::Reason;

/// The record of an open circuit.
#[derive(Debug)]
pub(crate) struct Outage {
    pub(crate) reason: Reason,
    pub(crate) cause: Option<Arc<str>>,
    pub(crate) next_probe: Instant,
}
