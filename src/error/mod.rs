//! Errors by moment: [`ConfigError`](crate::ConfigError) for the configuration, [`StartError`] for the
//! start of the supervisor, [`Error`] for a call.

mod apply;
mod limit;
mod part;
mod redis;
mod start;
mod text;

use std::{sync::Arc, time::Duration};

pub use apply::ApplyError;
pub use limit::Limit;
pub use part::CallPart;
use part::in_parts;
pub use start::StartError;
use text::{Listed, circuit_unless_closed, in_attempts, last, load, unknown, waiting};

use crate::{
    events::{CircuitState, Reason},
    execution::{Execution, Stage},
    policy::{command::Refusal, outcome::combine},
    rounded::Rounded,
    stats::PoolStats,
};

/// The reason why a call failed.
///
/// Calls on a [`Database`](crate::Database), a [`Lease`](crate::Lease), their blocking counterparts and
/// an [`Execute`](crate::Execute) message return it, and so do some methods of
/// [`Supervisor`](crate::Supervisor). Every variant of a call names its database. No variant shows an
/// argument of a command or a password.
///
/// # Whether the command may have run
///
/// [`execution`](Self::execution) answers it for every error, over all attempts of the call:
/// - [`NotSent`](Execution::NotSent), [`NotExecuted`](Execution::NotExecuted): the command had no
///   effect. Sending it again is safe.
/// - [`Executed`](Execution::Executed): the command ran. Do not send it again.
/// - [`Unknown`](Execution::Unknown): the connection or the deadline ended before the reply. Find out,
///   or send again only a command that may run twice.
///
/// This crate has already retried the call where that was safe; see
/// [Retries](crate::Database#retries).
///
/// ```
/// use redis_steward::{Error, Execution};
///
/// fn may_be_sent_again(error: &Error) -> bool {
///     matches!(error.execution(), Execution::NotSent | Execution::NotExecuted)
/// }
/// ```
///
/// # Kinds of errors
///
/// | kind | variants | usual response |
/// |---|---|---|
/// | The database is out of use | [`CircuitOpen`](Self::CircuitOpen), [`Isolated`](Self::Isolated), [`Failed`](Self::Failed), [`NoReplica`](Self::NoReplica), [`ShuttingDown`](Self::ShuttingDown) | do without it for a while |
/// | This process is over a limit | [`Overloaded`](Self::Overloaded) | shed load |
/// | The call was interrupted | [`TimedOut`](Self::TimedOut), [`ConnectionLost`](Self::ConnectionLost), [`Abandoned`](Self::Abandoned) | decide by `execution()` |
/// | The server answered | [`Server`](Self::Server), [`Conversion`](Self::Conversion), [`ReplyTooLarge`](Self::ReplyTooLarge), [`Conflict`](Self::Conflict) | decide by [`code`](Self::code) or type |
/// | Some nodes of a cluster failed | [`InParts`](Self::InParts) | decide by the execution of each part |
/// | The call is a mistake in the program | [`CommandRefused`](Self::CommandRefused), [`WatchLost`](Self::WatchLost), [`LeaseNotReturned`](Self::LeaseNotReturned), [`WouldBlockRuntime`](Self::WouldBlockRuntime), [`UnknownDatabase`](Self::UnknownDatabase) | correct the program |
/// | The start takes too long | [`NotReady`](Self::NotReady) | wait, or start without it |
///
/// Errors of the start itself are a [`StartError`](crate::StartError).
///
/// # Together with the `redis` crate
///
/// It converts into [`redis::RedisError`](::redis::RedisError), so that code written against the
/// `redis` crate keeps working. [`Server`](Self::Server), [`Conversion`](Self::Conversion) and the refusal
/// of an empty command or pipeline become the error that the `redis` crate makes itself. All other variants
/// become an I/O error that carries this value, and [`Error::from_redis`] returns it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The circuit of the database is open, so the call failed at once. Nothing was sent.
    ///
    /// It opens after a number of failures in a row
    /// ([`failure_threshold`](crate::DatabaseConfig::failure_threshold)), or when of at least 20 calls
    /// in the last 10 s half failed or four fifths were slow. It also opens at once where the server
    /// rejects this client or does not speak the Redis protocol. Probes close it. While it is
    /// half-open, at most 5 commands at a time are let through, and the others get this error too.
    #[error(
        "database {database:?}: the circuit is open ({reason}); next probe in {}{}",
        Rounded(*.retry_after), last(.last_error)
    )]
    CircuitOpen {
        /// Name of the database.
        database: Arc<str>,
        /// The reason why the circuit opened.
        reason: Reason,
        /// Time until the next probe, at least 25 ms. An earlier call is refused in vain.
        retry_after: Duration,
        /// The last failure that was seen, if its text is known. It contains no secret.
        last_error: Option<Arc<str>>,
    },
    /// A limit of this process on the load of one database was reached. Nothing was sent, and it does
    /// not count against the server.
    #[error(
        "database {database:?}: overloaded: {in_flight} commands with {in_flight_bytes} bytes are in \
         flight, and {}; limit reached: {limit}",
        waiting(*.parked, " for a connection")
    )]
    Overloaded {
        /// Name of the database.
        database: Arc<str>,
        /// Commands between their call and their reply.
        in_flight: usize,
        /// Size of those commands in bytes.
        in_flight_bytes: usize,
        /// Callers that wait for a connection: for a lease if too many wait for one, otherwise for a
        /// shared connection.
        parked: usize,
        /// The limit that was reached.
        limit: Limit,
    },
    /// The deadline passed. [`stage`](Self::TimedOut::stage) tells where the time was spent.
    ///
    /// A call whose deadline has passed is not retried. It counts against the server only if the
    /// command had been unanswered for longer than 0.8 times the
    /// [attempt timeout](crate::DatabaseConfig::attempt_timeout); failed dials and lost connections are
    /// counted apart.
    #[error(
        "database {database:?}: timed out after {}{} while {stage}; {execution}{}{}{}",
        Rounded(*.timeout), in_attempts(.attempts), load(.stage, .in_flight, .parked, .pool),
        circuit_unless_closed(.circuit), last(.last_error)
    )]
    TimedOut {
        /// Name of the database.
        database: Arc<str>,
        /// The place of the command when the deadline passed.
        stage: Stage,
        /// Whether the command may have run.
        execution: Execution,
        /// Number of attempts, from 1.
        attempts: u32,
        /// The timeout of the call, counted from its beginning; for [`Stage::Acquire`] the limit of the
        /// wait.
        timeout: Duration,
        /// Other commands of the database between their call and their reply.
        in_flight: usize,
        /// Those of them that wait for a connection.
        parked: usize,
        /// The connections of the database.
        pool: Box<PoolStats>,
        /// State of the circuit.
        circuit: CircuitState,
        /// The reason why the last dial failed, if the call waited for a connection.
        last_error: Option<Arc<str>>,
    },
    /// The connection ended before the reply came.
    ///
    /// Commands that were not written yet move to the next connection and do not get this error. One
    /// lost connection counts once against the server, however many commands were on it.
    #[error(
        "database {database:?}: the connection was lost{}: {cause}; {execution}",
        in_attempts(.attempts)
    )]
    ConnectionLost {
        /// Name of the database.
        database: Arc<str>,
        /// Whether the command may have run.
        execution: Execution,
        /// Number of attempts, from 1.
        attempts: u32,
        /// The reason why the connection ended.
        cause: Arc<str>,
    },
    /// The server answered with an error.
    ///
    /// The text is the server's, with control characters escaped and shortened to 256 bytes. What it
    /// quotes is masked, because it may have been sent by the caller: only the names of known commands and
    /// the server's own words stay.
    #[error(
        "database {database:?}: the server answered with an error{}: {error}",
        in_attempts(.attempts)
    )]
    Server {
        /// Name of the database.
        database: Arc<str>,
        /// Whether the command may have had an effect. A script that fails may have written before it
        /// failed. In a pipeline all commands that did not fail ran.
        execution: Execution,
        /// Number of attempts, from 1.
        attempts: u32,
        /// Code of the reply, such as `WRONGTYPE`. For a pipeline, that of the first command that
        /// failed, and `EXECABORT` for a transaction that the server discarded.
        code: Box<str>,
        /// The server's reply, or the failed replies of a pipeline.
        /// [`server_errors`](Self::server_errors) lists them.
        #[source]
        error: ::redis::RedisError,
    },
    /// The reply exceeded a limit of this crate:
    /// [`max_reply_bytes`](crate::DatabaseConfig::max_reply_bytes), 100 levels of nesting, or 16,777,216
    /// elements. The command ran.
    ///
    /// The reply was read over without being kept, so that the connection and other calls go on. For a
    /// pipeline, all its commands ran, and its other replies are lost too.
    #[error("database {database:?}: the command ran, but {limit}")]
    ReplyTooLarge {
        /// Name of the database.
        database: Arc<str>,
        /// The limit that was exceeded, in words, and the setting that raises it.
        limit: Box<str>,
    },
    /// The reply could not be converted into the requested type. The command ran.
    #[error("database {database:?}: the reply cannot be converted to the requested type: {error}")]
    Conversion {
        /// Name of the database.
        database: Arc<str>,
        /// The mismatch, without the value, which may be a secret.
        #[source]
        error: ::redis::RedisError,
    },
    /// The command is not permitted on the connection that it would run on. Nothing was sent.
    ///
    /// A pipeline with such a command is refused as a whole. [`refusal`](Self::CommandRefused::refusal)
    /// gives the reason, and its text the remedy.
    #[error("database {database:?}: {command} is refused: {refusal}")]
    CommandRefused {
        /// Name of the database.
        database: Arc<str>,
        /// Name of the command, in capitals.
        command: Box<str>,
        /// The reason.
        refusal: Refusal,
    },
    /// Other clients changed the watched keys during every attempt of the
    /// [transaction](crate::Database::transaction). It had no effect.
    #[error(
        "database {database:?}: other clients changed the watched keys in each of {attempts} attempts"
    )]
    Conflict {
        /// Name of the database.
        database: Arc<str>,
        /// Number of attempts: 32, after which a transaction ends.
        attempts: u32,
    },
    /// The body of a [transaction](crate::Database::transaction) ended the watch of the keys, so that
    /// they could change unnoticed. Or it began another transaction on the lease, or changed the
    /// connection. The transaction was not sent.
    #[error(
        "database {database:?}: the body of the transaction ended the watch, began another transaction, \
         or changed the connection; do not use MULTI, EXEC, UNWATCH, SELECT, atomic pipelines or similar \
         commands in it"
    )]
    WatchLost {
        /// Name of the database.
        database: Arc<str>,
    },
    /// The body of a [transaction](crate::Database::transaction) ended without returning the lease or
    /// the pipeline that it had borrowed. The transaction was not sent.
    #[error(
        "database {database:?}: the body of the transaction kept its lease or its pipeline; drop both \
         before the body ends"
    )]
    LeaseNotReturned {
        /// Name of the database.
        database: Arc<str>,
    },
    /// A [blocking](crate::BlockingDatabase) call was made in an async task and would have blocked its
    /// runtime. Nothing was sent.
    #[error(
        "database {database:?}: a blocking call in an async task would block its runtime; use the async \
         handle, or make the call in spawn_blocking"
    )]
    WouldBlockRuntime {
        /// Name of the database.
        database: Arc<str>,
    },
    /// The supervisor is shutting down, or has shut down.
    ///
    /// New calls were not sent. A command that was in flight when the grace of
    /// [`Supervisor::shutdown`](crate::Supervisor::shutdown) ended may have run.
    #[error("database {database:?}: the supervisor is shutting down; {execution}")]
    ShuttingDown {
        /// Name of the database.
        database: Arc<str>,
        /// Whether the command may have run.
        execution: Execution,
    },
    /// The task that held the command ended: the pool crashed, or the runtime of the connection ended.
    /// A successor takes over, so that later calls work.
    #[error("database {database:?}: the task that held the command has ended; {execution}")]
    Abandoned {
        /// Name of the database.
        database: Arc<str>,
        /// Whether the command may have run.
        execution: Execution,
    },
    /// The pool of the database crashed more than 5 times within 10 s and was given up. Nothing was sent.
    /// [`Supervisor::revive`](crate::Supervisor::revive) starts it again.
    #[error(
        "database {database:?}: the pool crashed repeatedly and was given up; Supervisor::revive starts \
         it again"
    )]
    Failed {
        /// Name of the database.
        database: Arc<str>,
    },
    /// [`Supervisor::isolate`](crate::Supervisor::isolate) took the database out of use. Nothing was
    /// sent. [`Supervisor::reset`](crate::Supervisor::reset) ends it.
    #[error("database {database:?}: isolated by Supervisor::isolate, until Supervisor::reset")]
    Isolated {
        /// Name of the database.
        database: Arc<str>,
    },
    /// No replica can serve a read that the primary is not to serve; see
    /// [`Replica::without_primary`](crate::Replica::without_primary). Nothing was sent.
    #[error("database {database:?}: no replica can serve the read: {why}")]
    NoReplica {
        /// Name of the database.
        database: Arc<str>,
        /// The replicas, and why each of them cannot.
        why: Box<str>,
    },
    /// A call of a [cluster](crate::DatabaseConfig::cluster) went to several nodes, and some of its parts failed.
    ///
    /// A call all of whose parts failed in one way has the error of one of them.
    #[error("database {database:?}: {}", in_parts(.parts))]
    InParts {
        /// Name of the database.
        database: Arc<str>,
        /// All parts of the call, each with its end.
        parts: Vec<CallPart>,
    },
    /// No database of that name is configured, or the handle is of one that
    /// [`Supervisor::apply`](crate::Supervisor::apply) has removed. Nothing was sent.
    ///
    /// A handle stays with the database that it was taken from. If a database of the same name was added later, take
    /// another handle.
    #[error("{}", unknown(.name, .known))]
    UnknownDatabase {
        /// The name that was asked for.
        name: Box<str>,
        /// The configured names, sorted.
        known: Vec<Arc<str>>,
    },
    /// Not all databases became healthy in time; see [`Supervisor::ready`](crate::Supervisor::ready).
    #[error("not ready within {}: {}", Rounded(*.waited), Listed(.pending, "; "))]
    NotReady {
        /// The longest wait that was permitted; zero if the supervisor has been shut down.
        waited: Duration,
        /// The databases that are not healthy, each with its state and the last failure.
        pending: Vec<Arc<str>>,
    },
}

impl Error {
    /// Whether the command may have run, over all attempts of the call; see [`Execution`].
    ///
    /// Errors of calls that send no command, such as [`NotReady`](Self::NotReady), give
    /// [`NotSent`](Execution::NotSent).
    pub fn execution(&self) -> Execution {
        match self {
            Self::TimedOut { execution, .. }
            | Self::ConnectionLost { execution, .. }
            | Self::ShuttingDown { execution, .. }
            | Self::Abandoned { execution, .. }
            | Self::Server { execution, .. } => *execution,
            Self::Conversion { .. } | Self::ReplyTooLarge { .. } => Execution::Executed,
            Self::InParts { parts, .. } => {
                let executions = parts.iter().map(CallPart::execution);
                executions.reduce(combine).unwrap_or(Execution::NotSent)
            }
            Self::Conflict { .. } => Execution::NotExecuted,
            Self::CircuitOpen { .. }
            | Self::Overloaded { .. }
            | Self::CommandRefused { .. }
            | Self::WouldBlockRuntime { .. }
            | Self::WatchLost { .. }
            | Self::LeaseNotReturned { .. }
            | Self::Failed { .. }
            | Self::Isolated { .. }
            | Self::NoReplica { .. }
            | Self::UnknownDatabase { .. }
            | Self::NotReady { .. } => Execution::NotSent,
        }
    }

    /// Whether both say the same to a caller: they are of one kind, and of one execution.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.variant() == other.variant()
            && self.code() == other.code()
            && self.execution() == other.execution()
    }

    /// Whether the command had no effect.
    pub(crate) fn has_not_run(&self) -> bool {
        matches!(
            self.execution(),
            Execution::NotSent | Execution::NotExecuted
        )
    }

    /// Whether a deadline passed: [`TimedOut`](Self::TimedOut) or [`NotReady`](Self::NotReady).
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::NotReady { .. })
    }

    /// All errors of the server in the replies of the call, each with the position of its command in the
    /// pipeline, counted from 0; `None` for all variants but [`Server`](Self::Server).
    ///
    /// For a transaction that the server discarded, these are the commands that it refused to queue. The
    /// error of a single command has the position 0.
    ///
    /// ```
    /// use redis_steward::Error;
    ///
    /// fn refused_positions(error: &Error) -> Vec<usize> {
    ///     let errors = error.server_errors();
    ///     errors.iter().flat_map(|errors| errors.iter()).map(|(index, _)| *index).collect()
    /// }
    /// ```
    pub fn server_errors(&self) -> Option<Arc<[(usize, ::redis::ServerError)]>> {
        match self {
            Self::Server { error, .. } => error.clone().into_server_errors(),
            _ => None,
        }
    }

    /// The name of the variant.
    pub(crate) fn variant(&self) -> &'static str {
        match self {
            Self::CircuitOpen { .. } => "CircuitOpen",
            Self::Overloaded { .. } => "Overloaded",
            Self::TimedOut { .. } => "TimedOut",
            Self::ConnectionLost { .. } => "ConnectionLost",
            Self::Server { .. } => "Server",
            Self::ReplyTooLarge { .. } => "ReplyTooLarge",
            Self::Conversion { .. } => "Conversion",
            Self::CommandRefused { .. } => "CommandRefused",
            Self::Conflict { .. } => "Conflict",
            Self::WatchLost { .. } => "WatchLost",
            Self::LeaseNotReturned { .. } => "LeaseNotReturned",
            Self::WouldBlockRuntime { .. } => "WouldBlockRuntime",
            Self::NoReplica { .. } => "NoReplica",
            Self::InParts { .. } => "InParts",
            Self::ShuttingDown { .. } => "ShuttingDown",
            Self::Abandoned { .. } => "Abandoned",
            Self::Failed { .. } => "Failed",
            Self::Isolated { .. } => "Isolated",
            Self::UnknownDatabase { .. } => "UnknownDatabase",
            Self::NotReady { .. } => "NotReady",
        }
    }

    /// The code of the server's error reply, such as `WRONGTYPE`; `None` for all variants but
    /// [`Server`](Self::Server). For a pipeline, the code of the first command that failed, and
    /// `EXECABORT` for a transaction that the server discarded.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Server { code, .. } => Some(code),
            _ => None,
        }
    }
}
