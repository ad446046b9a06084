//! The parts of a call that went to several nodes of a cluster.

use std::sync::Arc;

use super::Error;
use crate::execution::Execution;

/// A part of a call: what one node was to do. See [`Error::InParts`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallPart {
    /// The name of the node in events and statistics, such as `main (10.0.0.1:7000)`; that of the database, if no node was
    /// found for it.
    pub node: Arc<str>,
    /// The positions of its keys among all keys of the command, or of its commands in the pipeline, counted from 0. Empty
    /// for a command without keys, which goes to all nodes.
    pub positions: Vec<usize>,
    /// Its error; `None` if it succeeded.
    pub error: Option<Error>,
}

impl CallPart {
    /// Whether this part may have run.
    pub fn execution(&self) -> Execution {
        match &self.error {
            Some(error) => error.execution(),
            None => Execution::Executed,
        }
    }
}

pub(super) fn in_parts(parts: &[CallPart]) -> String {
    let failed: Vec<_> = parts.iter().filter(|part| part.error.is_some()).collect();
    let first = failed.iter().find_map(|part| part.error.as_ref());
    let first = first.map(Error::to_string).unwrap_or_default();
    let all = parts.len();
    format!(
        "{} of {all} parts of the call failed: {first}",
        failed.len()
    )
}
