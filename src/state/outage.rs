//! An open circuit, as callers are told of it.

use std::sync::Arc;

use tokio::time::Instant;

use crate::events::Reason;

/// An open circuit.
#[derive(Debug)]
pub(crate) struct Outage {
    pub(crate) reason: Reason,
    pub(crate) cause: Option<Arc<str>>,
    pub(crate) next_probe: Instant,
}
