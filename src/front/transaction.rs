//! The commands that a client has queued since MULTI.

use std::fmt;

use redis::{Cmd, Pipeline};

use super::shape::Shape;

#[derive(Default)]
pub(super) struct Transaction {
    queued: Pipeline,
    shapes: Vec<Shape>,
    bytes: usize,
    /// A command was refused, so EXEC is as well.
    is_refused: bool,
}

impl Transaction {
    /// Queues a command, unless it would make the transaction larger than this. Tells whether it did.
    #[must_use]
    pub(super) fn queue(&mut self, command: Cmd, shape: Shape, most_bytes: usize) -> bool {
        if self.is_refused {
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

    /// A command was refused, so none will run.
    pub(super) fn refuse(&mut self) {
        *self = Self {
            is_refused: true,
            ..Self::default()
        };
    }

    /// What to send, and the shapes of the replies; `None` if a command was refused.
    pub(super) fn finish(mut self) -> Option<(Pipeline, Vec<Shape>)> {
        self.queued.atomic();
        (!self.is_refused).then_some((self.queued, self.shapes))
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
