//! Every message that crosses an actor boundary, on one page.
//!
//! | message | from | to | asks or tells |
//! |---|---|---|---|
//! | [`Execute`] | actors of the application | pool | run this command |
//! | [`Subscribe`] | actors of the application | supervisor | send me the health events |
//! | `Park` | handles | pool | send this request later, or when a connection is ready |
//! | `Acquire` | handles | pool | give me a connection of my own |
//! | `Released` | leases | pool | I have no use for it any more |
//! | `Redial` | health | pool | try to open a connection now |
//! | `Retire` | health, handles | pool | stop using the present connection |
//! | `Sweep` | janitor | pool | close what has been idle for too long |
//! | `SweepAll` | the supervisor | janitor | make all pools do so now |
//! | `Drain` | supervisor | pool | finish what is under way and stop |
//! | `Dialled`, `ConnectionEnded` | the pool's tasks | the same pool | what became of a task |
//! | `Saturated` | connections | their pool | there is more to do than one can |
//! | `Report` | handles and pools | health | what happened to a database |
//! | `EndpointChecked`, `Probed` | health's tasks | health | what became of a task |
//! | `ChildExited` | guards in every child | supervisor | a child is gone |
//! | `AwaitReady`, `Revive`, `Shutdown`, `SweepAll` | [`Supervisor`](crate::Supervisor) | supervisor | as they say |
//! | `Operate` | the supervisor | health | isolate a database, or reset its circuit |

use std::{panic::Location, sync::Arc, time::Duration};

use actix::{Message, Recipient};
use redis::{Cmd, Value};
use tokio::time::Instant;

use crate::{
    config::Address,
    dispatch::{Grant, NoGrant},
    error::Error,
    events::{HealthEvent, Reason},
    net::{DialError, Ended, Established, Loss, Request, Seen},
    policy::retry::Idempotence,
};

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

/// Send this request after a pause, or keep it until a connection is ready or its deadline passes.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Park {
    pub(crate) request: Request,
    pub(crate) after: Duration,
}

/// Give me a connection that nobody else uses, as soon as there is one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Acquire(pub(crate) Waiting);

/// Who waits for a connection, and until when.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) answer: oneshot::Sender<Result<Grant, NoGrant>>,
    pub(crate) deadline: Instant,
    /// Where it was asked for.
    pub(crate) by: Option<&'static Location<'static>>,
}

/// A leased connection is given back.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Released {
    pub(crate) id: u64,
    /// Whether the next who leases it would find it as if it were new.
    pub(crate) is_clean: bool,
}

/// A connection that all share has more to do than it can.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Saturated;

/// Try to open a connection, unless there is one, after this pause.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Redial {
    pub(crate) after: Duration,
}

/// Take the present connection out of service: nobody can trust it any more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Retire {
    /// Unless it is another one by now.
    pub(crate) only: Option<u64>,
}

/// Close what has been idle for too long or is too old, and forget whose callers have gone. Answered
/// with the number of connections that were taken out of service.
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub(crate) struct Sweep;

/// Sweep all pools now. Answered with the number of connections that were taken out of service.
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub(crate) struct SweepAll;

/// Finish what is under way until the deadline, then stop. Answered when nothing is left.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Drain {
    pub(crate) deadline: Instant,
}

/// A task that dialled has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Dialled {
    pub(crate) id: u64,
    pub(crate) result: Result<Established, DialError>,
}

/// A connection's task has ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ConnectionEnded {
    /// Which one, because a late end must not be taken for the end of its successor.
    pub(crate) id: u64,
    pub(crate) ended: Ended,
}

/// Something happened to a database that concerns its health.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Report {
    pub(crate) database: Arc<str>,
    pub(crate) news: News,
}

/// What happened to a database.
#[derive(Debug)]
pub(crate) enum News {
    /// A command met a server that fails everybody. The epoch is the one it was admitted in.
    CommandFailed { epoch: u64, reason: Reason },
    /// The server refused a kind of command that it will refuse to everybody.
    CommandRefused { reason: Reason },
    /// A command that was admitted as a trial succeeded.
    TrialSucceeded { epoch: u64 },
    /// A connection was opened and proved itself.
    Connected(Seen),
    /// No connection could be opened; the pool waits for a [`Redial`].
    DialFailed(DialError),
    /// A connection broke with requests on it.
    ConnectionLost(Arc<Loss>),
    /// The pool crashed and was started again.
    Restarted,
    /// The pool crashed too often and was given up.
    GivenUp,
}

/// Something was found to answer at an endpoint, or not.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct EndpointChecked {
    pub(crate) endpoint: Address,
    pub(crate) result: Result<(), DialError>,
}

/// A database was probed with a connection of its own.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Probed {
    pub(crate) database: Arc<str>,
    /// The epoch in which the probe began.
    pub(crate) epoch: u64,
    pub(crate) result: Result<Seen, DialError>,
}

/// A child of the supervisor is gone without having been told to stop.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ChildExited(pub(crate) Child);

/// Who is supervised.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Child {
    Health,
    Janitor,
    /// The pool of the database of this name.
    Pool(Arc<str>),
}

/// Answer when every database is healthy, or say which are not by the deadline.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Error>")]
pub(crate) struct AwaitReady {
    pub(crate) within: Duration,
}

/// Do by hand what otherwise the evidence decides.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Operate {
    pub(crate) database: Arc<str>,
    pub(crate) operation: Operation,
}

/// What is done by hand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    /// Let no command through until a reset.
    Isolate,
    /// Close the circuit, and forget what opened it.
    Reset,
}

/// Start the pool again that was given up.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Revive(pub(crate) Arc<str>);

/// Stop everything, giving what is under way so much time.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Shutdown {
    pub(crate) grace: Duration,
}
