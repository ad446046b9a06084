//! The commands that a client has queued since MULTI.

use std::{fmt, mem};

use redis::{Cmd, Pipeline};

use super::shape::Shape;

#[derive(Default)]
pub(super) struct Transaction {
    queued: Pipeline,
    shapes: Vec<Shape>,
    bytes: usize,
    /// EXEC is refused for this reason.
    refused: Option<String>,
}

impl Transaction {
    /// Queues a command, unless it would make the transaction larger than this. Tells whether it did.
    #[must_use]
    pub(super) fn queue(&mut self, command: Cmd, shape: Shape, most_bytes: usize) -> bool {
        if self.is_refused() {
            // It will never be sent.
            return true;
        }
        self.bytes += command.get_packed_command().len();
        if self.bytes > most_bytes {
            return false;
        }
        self.queued.add_command(command);
        self.shapes.push(shape);
        true
    }

    /// None of the commands will run, for this reason, unless there was one before.
    pub(super) fn refuse(&mut self, reason: String) {
        *self = Self {
            refused: mem::take(self).refused.or(Some(reason)),
            ..Self::default()
        };
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// What to send, and the shapes of the replies; or the reason for which none of the commands runs.
    pub(super) fn finish(mut self) -> Result<(Pipeline, Vec<Shape>), String> {
        self.queued.atomic();
        match self.refused {
            None => Ok((self.queued, self.shapes)),
            Some(reason) => Err(reason),
        }
    }
}

/// The commands may hold secrets, so only their number is shown.
impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("queued", &self.shapes.len())
            .finish_non_exhaustive()
    }
}
