//! Messages of the application's own actors.

use std::time::Duration;

use actix::{Message, Recipient};
use redis::{Cmd, Value};

use crate::{error::Error, events::HealthEvent, policy::retry::Idempotence};

/// Runs one command, for actors that hold a [`Recipient`] instead of a handle; see
/// [`Database::recipient`](crate::Database::recipient).
#[derive(Clone)]
pub struct Execute {
    pub(crate) command: Cmd,
    pub(crate) timeout: Option<Duration>,
    pub(crate) idempotence: Idempotence,
}

impl Execute {
    /// Runs `command` with the command timeout of the database.
    pub fn new(command: Cmd) -> Self {
        Self {
            command,
            timeout: None,
            idempotence: Idempotence::ByCommand,
        }
    }

    /// Gives the command another deadline, counted from when the pool receives it; more than a year
    /// is taken as a year.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The command may run twice: see [`Database::idempotent`](crate::Database::idempotent).
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.idempotence = Idempotence::Yes;
        self
    }

    /// The command may not run twice, even if it only reads: see
    /// [`Database::not_idempotent`](crate::Database::not_idempotent).
    #[must_use]
    pub fn not_idempotent(mut self) -> Self {
        self.idempotence = Idempotence::No;
        self
    }
}

/// Without the command's arguments, which may be secrets.
impl std::fmt::Debug for Execute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Execute")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Message for Execute {
    type Result = Result<Value, Error>;
}

/// Sends all health events to a recipient: first the current state of every database, then every
/// change. See [`Supervisor::recipient`](crate::Supervisor::recipient).
#[derive(Debug)]
pub struct Subscribe(
    /// Who gets the events.
    pub Recipient<HealthEvent>,
);

impl Message for Subscribe {
    type Result = ();
}
