//! Health as applications see it: states, changes, and the stream of changes.

mod hub;
mod stream;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

pub(crate) use hub::{Change, EventHub};
pub use stream::HealthEvents;

/// The state of one database as its users should see it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthState {
    /// No attempt to reach the server has ended yet.
    Starting,
    /// The server answers.
    Healthy,
    /// Something is wrong, and commands are let through all the same: the circuit has not opened, or
    /// it is on trial; or the server refuses a kind of command, and runs the others. Also while the
    /// server is loading its dataset, whatever the circuit.
    Degraded {
        /// What is wrong.
        reason: Reason,
    },
    /// The circuit is open: commands fail at once.
    Down {
        /// What opened the circuit.
        reason: Reason,
        /// When the next probe is due.
        retry_after: Duration,
    },
    /// Somebody has isolated it by hand: commands fail at once, until it is reset.
    Isolated,
    /// The pool of this database crashed repeatedly and was given up, until it is revived by hand.
    Failed,
    /// The supervisor has been shut down.
    Stopped,
}

impl HealthState {
    /// Whether a change from one to the other is none. A later `retry_after` alone is no change.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Down { reason, .. }, Self::Down { reason: other, .. }) => reason == other,
            _ => self == other,
        }
    }
}

impl fmt::Display for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Healthy => f.write_str("healthy"),
            Self::Degraded { reason } => write!(f, "degraded ({reason})"),
            Self::Down { reason, .. } => write!(f, "down ({reason})"),
            Self::Isolated => f.write_str("isolated"),
            Self::Failed => f.write_str("failed"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// What is wrong with a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// No connection can be opened: refused, no route, the name does not resolve.
    Unreachable,
    /// It accepts connections and does not answer in time.
    Unresponsive,
    /// Its connections break.
    ConnectionLost,
    /// It is loading its dataset into memory (`LOADING`).
    Loading,
    /// It refuses the credentials or the client (`WRONGPASS`, `NOAUTH`, `NOPERM`, `DENIED`).
    Rejected,
    /// It has as many clients as it accepts.
    ServerFull,
    /// What answers does not speak the Redis protocol.
    NotRedis,
    /// It runs a script or a function that has blocked it for long (`BUSY`).
    Busy,
    /// It was down and answers again; a few commands are let through to see whether it lasts.
    Recovering,
    /// It is a replica that has lost its primary (`MASTERDOWN`), or a cluster that is down.
    PrimaryDown,
    /// Most commands take longer than they should.
    Slow,
    /// It is a replica, which takes no writes (`READONLY`).
    ReadOnly,
    /// It cannot save its dataset, and so takes no writes (`MISCONF`).
    CannotSave,
    /// Its memory is used up, and so it takes few writes (`OOM`).
    OutOfMemory,
    /// It has too few replicas, and so takes no writes (`NOREPLICAS`).
    NoReplicas,
    /// The pool of this database crashed and was started again. It has nothing to do with the server.
    Restarted,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "the server cannot be reached",
            Self::Unresponsive => "the server does not answer in time",
            Self::ConnectionLost => "its connections break",
            Self::Loading => "the server is loading its dataset",
            Self::Rejected => "the server rejects this client",
            Self::ServerFull => "the server has as many clients as it accepts",
            Self::NotRedis => "what answers does not speak the Redis protocol",
            Self::Busy => "the server is busy with a script",
            Self::Recovering => "the server answers again and is on trial",
            Self::PrimaryDown => "the server has lost its primary",
            Self::Slow => "most commands are slow",
            Self::ReadOnly => "the server is a replica and takes no writes",
            Self::CannotSave => "the server cannot save and takes no writes",
            Self::OutOfMemory => "the server is out of memory",
            Self::NoReplicas => "the server has too few replicas and takes no writes",
            Self::Restarted => "its pool crashed and was started again",
        })
    }
}

/// The circuit breaker's state of one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CircuitState {
    /// Commands pass.
    Closed,
    /// Commands fail at once; probes decide when that ends.
    Open,
    /// A probe succeeded; a few commands at a time are let through.
    HalfOpen,
}

impl fmt::Display for CircuitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        })
    }
}

/// One change of one database's health, or, for a new subscriber, its current state.
///
/// As an actix message it has no reply.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HealthEvent {
    /// Name of the database.
    pub database: Arc<str>,
    /// The state from now on.
    pub state: HealthState,
    /// State of the circuit breaker from now on.
    pub circuit: CircuitState,
    /// What happened, in a sentence without secrets, where something did.
    pub cause: Option<Arc<str>>,
    /// When it was noticed.
    pub at: SystemTime,
    /// Number of this change, counted over all databases of the supervisor from 1.
    pub sequence: u64,
    /// How many older events this subscriber has missed right before this one, because it was
    /// slow. The last event of every database is never among them.
    pub missed: u64,
}

impl actix::Message for HealthEvent {
    type Result = ();
}

impl fmt::Display for HealthEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}, circuit {}",
            self.database, self.state, self.circuit
        )?;
        if let Some(cause) = &self.cause {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

/// Nothing that holds these locks can leave its data half-changed, so a panic elsewhere while
/// one was held is no reason to give up.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
