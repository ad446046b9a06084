//! Messages that actors of the application send.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
    time::Duration,
};

use actix::{Message, Recipient};
use redis::{Cmd, Value};

use crate::{error::Error, events::HealthEvent, policy::retry::Idempotence};

/// Runs one command: the message for actix actors that hold a [`Recipient`] instead of a
/// [`Database`](crate::Database). [`Database::recipient`](crate::Database::recipient) returns the
/// recipient.
///
/// Its result is that of [`Database::execute`](crate::Database::execute): the unconverted reply, or an
/// [`Error`]. Sending it fails with actix' `MailboxError` if the supervisor has stopped. Dropping the request
/// cancels the command; with `do_send` it runs to its end and the result is dropped.
///
/// `Debug` does not show the command, whose arguments may be secrets.
///
/// ```no_run
/// # async fn example(main: redis_steward::Database) -> Result<(), Box<dyn std::error::Error>> {
/// use redis_steward::Execute;
///
/// let recipient = main.recipient();
/// let reply = recipient.send(Execute::new(redis::cmd("PING"))).await??;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Execute {
    pub(crate) command: Cmd,
    pub(crate) timeout: Option<Duration>,
    pub(crate) idempotence: Idempotence,
    _unhandled: Unhandled,
}

impl Execute {
    /// Runs `command` with the [command timeout](crate::DatabaseConfig::command_timeout) of the database,
    /// and retries it if that is safe; see [Retries](crate::Database#retries).
    ///
    /// While more than 200,000 messages of the process wait to be handled, this pauses the thread for some
    /// 50 µs, so that a flood does not fill the memory.
    pub fn new(command: Cmd) -> Self {
        Self {
            command,
            timeout: None,
            idempotence: Idempotence::ByCommand,
            _unhandled: Unhandled::new(),
        }
    }

    /// Gives the command another timeout. It is counted from the moment at which the message is
    /// handled, and is strict, as that of [`Database::with_timeout`](crate::Database::with_timeout).
    /// Range: up to 1 year; more counts as a year. With zero, the command times out and is not sent.
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

    /// The command must not run twice, even if it is read-only: see
    /// [`Database::not_idempotent`](crate::Database::not_idempotent).
    #[must_use]
    pub fn not_idempotent(mut self) -> Self {
        self.idempotence = Idempotence::No;
        self
    }
}

/// Counts the messages of this process that were made and not handled yet. A mailbox has no bound for
/// `do_send`, so a thread that makes messages faster than they are handled lets the other threads run first,
/// and then has to pause.
#[derive(Debug)]
pub(crate) struct Unhandled(());

static UNHANDLED: AtomicUsize = AtomicUsize::new(0);

/// More messages than a program makes that waits for their results.
const MANY_UNHANDLED: usize = 10_000;
/// Some 40 MB of small messages.
const TOO_MANY_UNHANDLED: usize = 200_000;
/// The system makes some 50 µs of it.
const PAUSE: Duration = Duration::from_micros(1);

impl Unhandled {
    fn new() -> Self {
        match UNHANDLED.fetch_add(1, Relaxed) {
            TOO_MANY_UNHANDLED.. => thread::sleep(PAUSE),
            MANY_UNHANDLED.. => thread::yield_now(),
            _ => {}
        }
        Self(())
    }
}

impl Clone for Unhandled {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl Drop for Unhandled {
    fn drop(&mut self) {
        UNHANDLED.fetch_sub(1, Relaxed);
    }
}

/// Does not show the arguments of the command, which may be secrets.
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

/// Sends all health events to a recipient: first the current state of every database, then every change.
///
/// It is the message for actix actors, and
/// [`Supervisor::recipient`](crate::Supervisor::recipient) returns the address to send it to. In other
/// programs, use [`Supervisor::subscribe`](crate::Supervisor::subscribe). The subscription ends when the
/// recipient is closed or the supervisor has stopped. A slow recipient misses intermediate states, as
/// [`HealthEvents`](crate::HealthEvents) describes.
#[derive(Debug)]
pub struct Subscribe(
    /// The recipient of the events.
    pub Recipient<HealthEvent>,
);

impl Message for Subscribe {
    type Result = ();
}
