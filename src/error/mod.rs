//! What can go wrong, by moment: [`StartError`] when the supervisor starts (and
//! [`ConfigError`](crate::ConfigError) before it), [`Error`] when a command runs.

mod limit;
mod redis;
mod start;
mod text;

use std::{sync::Arc, time::Duration};

pub use limit::Limit;
pub use start::StartError;
use text::{Listed, because, crowd, in_all, unless_closed, waiting};

use crate::{
    events::{CircuitState, Reason},
    execution::{Execution, Stage},
    policy::command::Refusal,
    stats::PoolStats,
};

/// Why a command failed. Every variant names its database; [`Error::execution`] tells whether the
/// command may have run.
///
/// It converts into [`redis::RedisError`], so that code written against the `redis` crate keeps
/// working: a server's error reply becomes the very error that the `redis` crate makes of it, and
/// everything else an I/O error that carries this value. [`Error::from_redis`] gets it back.
///
/// ```
/// use redis_steward::{Error, Execution};
///
/// fn may_be_sent_again(error: &Error) -> bool {
///     matches!(error.execution(), Execution::NotSent | Execution::NotExecuted)
/// }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The circuit of the database is open: too many failures in a row, or too large a part of the
    /// calls of the last ten seconds failed or were slow. Nothing was sent.
    #[error(
        "database {database:?}: the circuit is open ({reason}); next probe in {retry_after:?}{}",
        because(.last_error)
    )]
    CircuitOpen {
        /// The database that was asked.
        database: Arc<str>,
        /// What opened the circuit.
        reason: Reason,
        /// When the next probe is due; asking earlier is useless. At least 25 ms.
        retry_after: Duration,
        /// What was found last, in a sentence without secrets.
        last_error: Option<Arc<str>>,
    },
    /// This process has too much outstanding on the database already. Nothing was sent, and the
    /// server's health is not in question.
    #[error(
        "database {database:?}: overloaded: {in_flight} commands and {in_flight_bytes} bytes are \
         outstanding, and {} (limit {limit})",
        waiting(*.parked, " for a connection")
    )]
    Overloaded {
        /// The database that was asked.
        database: Arc<str>,
        /// Commands between their call and their reply.
        in_flight: usize,
        /// Bytes of those commands.
        in_flight_bytes: usize,
        /// Callers who wait for a shared connection, or, where too many wait for one of their own, those.
        parked: usize,
        /// The limit that was reached.
        limit: Limit,
    },
    /// The deadline passed.
    #[error(
        "database {database:?}: timed out after {timeout:?}{} while {stage}; {execution}{}{}{}",
        in_all(.attempts), crowd(.stage, .in_flight, .parked, .pool), unless_closed(.circuit),
        because(.last_error)
    )]
    TimedOut {
        /// The database that was asked.
        database: Arc<str>,
        /// Where the command was.
        stage: Stage,
        /// Whether it may have run.
        execution: Execution,
        /// How often it was tried.
        attempts: u32,
        /// The deadline it had, counted from the call.
        timeout: Duration,
        /// Other commands of the database that are between their call and their reply.
        in_flight: usize,
        /// Those of them that wait for a connection.
        parked: usize,
        /// The connections of the database.
        pool: Box<PoolStats>,
        /// State of its circuit.
        circuit: CircuitState,
        /// Why the last attempt to connect failed, where that is what the command waited for.
        last_error: Option<Arc<str>>,
    },
    /// The connection broke before the reply came.
    #[error("database {database:?}: the connection was lost{}: {cause}; {execution}", in_all(.attempts))]
    ConnectionLost {
        /// The database that was asked.
        database: Arc<str>,
        /// Whether the command may have run.
        execution: Execution,
        /// How often it was tried.
        attempts: u32,
        /// What happened to the connection.
        cause: Arc<str>,
    },
    /// The server answered with an error.
    ///
    /// The text is the server's, with control characters escaped, shortened to 256 bytes, and
    /// without the arguments that the server echoes of a command it does not know.
    #[error("database {database:?}: the server answered with an error{}: {error}", in_all(.attempts))]
    Server {
        /// The database that was asked.
        database: Arc<str>,
        /// Whether the command may have had an effect: a script that fails may have written
        /// before, and of a pipeline all commands ran that did not fail.
        execution: Execution,
        /// How often it was tried.
        attempts: u32,
        /// Code of the reply, such as `WRONGTYPE`; of the first that failed in a pipeline.
        code: Box<str>,
        /// The server's reply, or the replies of a pipeline.
        #[source]
        error: ::redis::RedisError,
    },
    /// The reply could not be converted into the type that was asked for. The command ran.
    #[error("database {database:?}: the reply has another type: {error}")]
    Conversion {
        /// The database that was asked.
        database: Arc<str>,
        /// What did not fit.
        #[source]
        error: ::redis::RedisError,
    },
    /// The command may not run where it was to run: on a connection that others share, or on any.
    /// Nothing was sent.
    #[error("database {database:?}: {command} is refused: {refusal}")]
    CommandRefused {
        /// The database that was asked.
        database: Arc<str>,
        /// Name of the command, in capitals.
        command: Box<str>,
        /// Why.
        refusal: Refusal,
    },
    /// Others changed the watched keys each time that the [transaction](crate::Database::transaction)
    /// was tried. It had no effect.
    #[error(
        "database {database:?}: the watched keys were changed by others in all of {attempts} attempts"
    )]
    Conflict {
        /// The database that was asked.
        database: Arc<str>,
        /// How often it was tried.
        attempts: u32,
    },
    /// The body of a [transaction](crate::Database::transaction) has ended the watch of the keys itself,
    /// so nothing kept others from changing them, or has begun another transaction on the lease, or
    /// changed the connection. The transaction was not sent.
    #[error(
        "database {database:?}: the body of the transaction has ended its watch, begun another, or \
         changed the connection; leave MULTI, EXEC, UNWATCH, SELECT, atomic pipelines and the like \
         out of it"
    )]
    WatchLost {
        /// The database that was asked.
        database: Arc<str>,
    },
    /// The body of a [transaction](crate::Database::transaction) has ended and still has the lease or
    /// the pipeline that it was lent. The transaction was not sent.
    #[error(
        "database {database:?}: the body of the transaction has kept its lease or its pipeline; drop \
         both before it ends"
    )]
    LeaseNotReturned {
        /// The database that was asked.
        database: Arc<str>,
    },
    /// A [blocking](crate::BlockingDatabase) call was made in an async task, whose runtime it would
    /// have blocked. Nothing was sent.
    #[error(
        "database {database:?}: a blocking call in an async task would block its runtime; use the \
         async handle there, or spawn_blocking"
    )]
    WouldBlockRuntime {
        /// The database that was asked.
        database: Arc<str>,
    },
    /// The supervisor is shutting down, or has.
    #[error("database {database:?}: the supervisor is shutting down; {execution}")]
    ShuttingDown {
        /// The database that was asked.
        database: Arc<str>,
        /// Whether the command may have run.
        execution: Execution,
    },
    /// What held the command is gone: the pool crashed, and a new one takes over; or the runtime has
    /// ended that the connection ran on, and another takes over.
    #[error("database {database:?}: the task that held the command has ended; {execution}")]
    Abandoned {
        /// The database that was asked.
        database: Arc<str>,
        /// Whether the command may have run.
        execution: Execution,
    },
    /// The pool of the database crashed too often and was given up;
    /// [`Supervisor::revive`](crate::Supervisor::revive) starts it again.
    #[error("database {database:?}: its pool crashed repeatedly and was given up")]
    Failed {
        /// The database that was asked.
        database: Arc<str>,
    },
    /// The database was isolated by hand, with
    /// [`Supervisor::isolate`](crate::Supervisor::isolate). Nothing was sent.
    #[error("database {database:?}: it is isolated by hand, until it is reset")]
    Isolated {
        /// The database that was asked.
        database: Arc<str>,
    },
    /// No database of that name was configured.
    #[error("there is no database {name:?}; the configured ones are {}", Listed(.known, ", "))]
    UnknownDatabase {
        /// The name that was asked for.
        name: Box<str>,
        /// The names that exist, sorted.
        known: Vec<Arc<str>>,
    },
    /// Not every database became healthy in time; see [`Supervisor::ready`](crate::Supervisor::ready).
    #[error("not ready within {waited:?}: {}", Listed(.pending, "; "))]
    NotReady {
        /// How long was waited at most.
        waited: Duration,
        /// The databases that are not healthy, each with its state and what caused it.
        pending: Vec<Arc<str>>,
    },
}

impl Error {
    /// Whether the command may have run; see [`Execution`].
    pub fn execution(&self) -> Execution {
        match self {
            Self::TimedOut { execution, .. }
            | Self::ConnectionLost { execution, .. }
            | Self::ShuttingDown { execution, .. }
            | Self::Abandoned { execution, .. }
            | Self::Server { execution, .. } => *execution,
            Self::Conversion { .. } => Execution::Executed,
            Self::Conflict { .. } => Execution::NotExecuted,
            Self::CircuitOpen { .. }
            | Self::Overloaded { .. }
            | Self::CommandRefused { .. }
            | Self::WouldBlockRuntime { .. }
            | Self::WatchLost { .. }
            | Self::LeaseNotReturned { .. }
            | Self::Failed { .. }
            | Self::Isolated { .. }
            | Self::UnknownDatabase { .. }
            | Self::NotReady { .. } => Execution::NotSent,
        }
    }

    /// Whether a deadline passed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::NotReady { .. })
    }

    /// The code of a server's error reply, such as `WRONGTYPE`; of the first that failed in a
    /// pipeline.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Server { code, .. } => Some(code),
            _ => None,
        }
    }
}
