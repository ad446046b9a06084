//! Health as applications see it: states, changes, and the stream of changes. And `pubsub`: messages of channels.
//!
//! - this file: [`HealthState`], [`Reason`], [`CircuitState`], [`HealthEvent`] · `verdict`: whether a state is live and
//!   ready
//! - `failover`: [`Failover`], another primary · `handoff`: [`Handoff`], a move that the server has announced
//! - `recovery`: [`Recovery`], the end of a fallback · `feed`: keeps the events, and `run` tells whose · `history`: [`TimeInState`], the time
//!   in each state · `hub`: publishes them · `stream`: [`HealthEvents`], the events of one subscriber,
//!   and `stream/place` where it is

mod failover;
mod feed;
mod handoff;
mod history;
mod hub;
mod pubsub;
mod recovery;
#[cfg(feature = "status-page")]
mod run;
mod stream;
mod verdict;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

pub use failover::Failover;
pub(crate) use feed::Change;
pub use handoff::Handoff;
pub(crate) use history::History;
pub use history::TimeInState;
pub(crate) use hub::EventHub;
pub use pubsub::{EndCause, GapCause, PubSubEvent, Topic, WhenFull};
pub use recovery::Recovery;
#[cfg(feature = "status-page")]
pub(crate) use stream::EventPlace;
pub use stream::HealthEvents;

/// The health of one database. [`HealthEvent`] tells its changes, and
/// [`DatabaseStats::health`](crate::DatabaseStats::health) its present value.
///
/// | state | commands |
/// |---|---|
/// | `Starting`, `Healthy`, `Degraded` | are let through as far as the [circuit](CircuitState) permits |
/// | `Down`, `Isolated`, `Failed`, `Stopped`, `Removed` | fail at once and are not sent |
///
/// `Display` gives one word and the reason, such as `down (the server cannot be reached)`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthState {
    /// No attempt to reach the server has ended yet. Commands wait for the first connection.
    Starting,
    /// The server answers, and the circuit is closed.
    Healthy,
    /// A problem was found, and commands are still let through. One of these applies:
    /// - Failures were seen, and the circuit has not opened.
    /// - The circuit is half-open, and a few commands test the server.
    /// - The server refuses one kind of command, such as writes, and runs the others.
    /// - The server is loading its dataset. Then the circuit may be open, too.
    /// - The circuit is open, and a [fallback](crate::Fallback) serves what it can.
    Degraded {
        /// The problem.
        reason: Reason,
    },
    /// The circuit is open: commands fail at once with
    /// [`Error::CircuitOpen`](crate::Error::CircuitOpen).
    Down {
        /// The reason why the circuit opened.
        reason: Reason,
        /// Time until the next probe, counted from the event. A later probe alone is no new event.
        retry_after: Duration,
    },
    /// [`Supervisor::isolate`](crate::Supervisor::isolate) took the database out of use: commands fail
    /// at once with [`Error::Isolated`](crate::Error::Isolated), until
    /// [`Supervisor::reset`](crate::Supervisor::reset).
    Isolated,
    /// The pool of this database crashed more than 5 times within 10 s and was given up: commands fail
    /// at once with [`Error::Failed`](crate::Error::Failed), until
    /// [`Supervisor::revive`](crate::Supervisor::revive).
    Failed,
    /// The supervisor has been shut down. It is the last state.
    Stopped,
    /// [`Supervisor::apply`](crate::Supervisor::apply) has removed the database. It is its last state; a database of
    /// the same name that is added later begins with [`Starting`](Self::Starting).
    Removed,
}

impl HealthState {
    /// The problem, if the state has one.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Degraded { reason } | Self::Down { reason, .. } => Some(*reason),
            _ => None,
        }
    }

    /// The state in one word, such as `degraded`. `Display` adds the reason, and with the feature `serde` a state is
    /// serialized as this.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Degraded { .. } => "degraded",
            Self::Down { .. } => "down",
            Self::Isolated => "isolated",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Removed => "removed",
        }
    }

    /// Whether both states are the same for a subscriber. Another `retry_after` alone is no change.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Down { reason, .. }, Self::Down { reason: other, .. }) => reason == other,
            _ => self == other,
        }
    }
}

impl fmt::Display for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self.reason() {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for HealthState {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// The problem of a database. It is part of [`HealthState::Degraded`], [`HealthState::Down`] and
/// [`Error::CircuitOpen`](crate::Error::CircuitOpen).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Reason {
    /// No connection can be opened: it is refused, there is no route, the name does not resolve, or this
    /// process has no file descriptor left.
    Unreachable,
    /// The server accepts connections and does not answer in time.
    ///
    /// Commands whose callers have given up count too: if one is unanswered after 0.8 times the
    /// [attempt timeout](crate::DatabaseConfig::attempt_timeout), it is a failure. So the circuit does
    /// not depend on how long callers wait.
    Unresponsive,
    /// Connections to the server break.
    ConnectionLost,
    /// The server is loading its dataset into memory (`LOADING`).
    Loading,
    /// The server refuses the credentials or the client (`WRONGPASS`, `NOAUTH`, `NOPERM`, `DENIED`). The
    /// circuit opens at once.
    Rejected,
    /// The server has reached its limit of clients (`maxclients`).
    ServerFull,
    /// The peer does not speak the Redis protocol. The circuit opens at once.
    NotRedis,
    /// No TLS connection to the server can be made: its certificate is not accepted, it speaks no TLS, or both have no
    /// version of it in common. The circuit opens at once. See [`Tls`](crate::Tls).
    TlsFailed,
    /// The provider of the credentials cannot tell them, so that no connection can be opened. The circuit opens at once
    /// if none is open. See [`CredentialsProvider`](crate::CredentialsProvider).
    NoCredentials,
    /// A script or a function has blocked the server for long (`BUSY`). This crate never kills a script.
    Busy,
    /// The server was down and answers again. The circuit is half-open, and a few commands test whether
    /// the server stays up.
    Recovering,
    /// The server is a replica that has lost its primary (`MASTERDOWN`), a node of a cluster that is down
    /// (`CLUSTERDOWN`), or named by sentinels though it is no primary, as in a failover.
    PrimaryDown,
    /// Of at least 20 calls in the last 10 s, four fifths took longer than 0.8 times the
    /// [attempt timeout](crate::DatabaseConfig::attempt_timeout).
    Slow,
    /// The server is a replica and takes no writes (`READONLY`). Reads succeed, and the circuit stays
    /// closed.
    ReadOnly,
    /// The server cannot save its dataset and therefore takes no writes (`MISCONF`). Reads succeed, and
    /// the circuit stays closed.
    CannotSave,
    /// The server's memory is used up, and it refuses commands that need more (`OOM`). Reads succeed,
    /// and the circuit stays closed.
    OutOfMemory,
    /// The server has too few replicas and therefore takes no writes (`NOREPLICAS`). Reads succeed, and
    /// the circuit stays closed.
    NoReplicas,
    /// Some slots of the cluster are served by no node, or their node is down. Commands on other keys succeed.
    ShardDown,
    /// The pool of this database crashed and was restarted. The server is not the cause.
    Restarted,
    /// The circuit is open, or what was written during that time is being carried out at the server, and a
    /// store in this process serves commands: see [`Fallback`](crate::Fallback). The event's cause says what
    /// is wrong with the server.
    MemoryFallback,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "the server cannot be reached",
            Self::Unresponsive => "the server does not answer in time",
            Self::ConnectionLost => "connections to the server break",
            Self::Loading => "the server is loading its dataset",
            Self::Rejected => "the server rejects this client",
            Self::ServerFull => "the server has reached its limit of clients",
            Self::NotRedis => "the peer does not speak the Redis protocol",
            Self::TlsFailed => "no TLS connection to the server can be made",
            Self::NoCredentials => "the provider of the credentials cannot tell them",
            Self::Busy => "the server is busy with a script",
            Self::Recovering => "the server answers again, and a few commands test it",
            Self::PrimaryDown => "the server has lost its primary",
            Self::Slow => "most commands are slow",
            Self::ReadOnly => "the server is a replica and takes no writes",
            Self::CannotSave => "the server cannot save and takes no writes",
            Self::OutOfMemory => "the server is out of memory",
            Self::NoReplicas => "the server has too few replicas and takes no writes",
            Self::ShardDown => "a part of the cluster is down",
            Self::Restarted => "the pool crashed and was restarted",
            Self::MemoryFallback => "a store in memory stands in for the server",
        })
    }
}

/// The state of the circuit breaker of one database.
///
/// The breaker opens on failures and slowness (see
/// [`failure_threshold`](crate::DatabaseConfig::failure_threshold)). A successful probe makes it
/// half-open; time alone never does. Probes use connections of their own, so no caller is needed to test
/// a server that is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "kebab-case")
)]
pub enum CircuitState {
    /// Commands are let through.
    Closed,
    /// Commands fail at once, until a probe succeeds.
    Open,
    /// A probe succeeded. At most 5 commands at a time are let through, and further ones fail at once.
    /// Three successes of probes or commands close the circuit, and one failure opens it again.
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

/// A change of the health of one database, or the current state for a new subscriber.
///
/// [`HealthEvents`] yields it, and actix actors get it as a message without a reply; see
/// [`Subscribe`](crate::Subscribe). Every change is also logged with `tracing` at level `INFO`, on a
/// thread of the crate's own, so that a subscriber of `tracing` may block or call this crate.
///
/// `Display` gives one line without secrets, such as
/// `main: down (the server cannot be reached), circuit open: cannot connect: …`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HealthEvent {
    /// Name of the database.
    pub database: Arc<str>,
    /// The new state.
    pub state: HealthState,
    /// The new state of the circuit breaker.
    pub circuit: CircuitState,
    /// The failure behind the change, if its text is known. It contains no secret.
    pub cause: Option<Arc<str>>,
    /// What has become of the writes of an outage, at its end: only if there is a
    /// [fallback](crate::Fallback), and in the first event after it.
    pub recovery: Option<Recovery>,
    /// The settings that [`Supervisor::apply`](crate::Supervisor::apply) has changed, if that is what the event tells.
    /// State and circuit are those of before. What comes of new connections is told by later events.
    pub changed: Arc<[&'static str]>,
    /// The failover that sentinels have announced, if that is what the event tells. State and circuit are those of before.
    pub failover: Option<Failover>,
    /// The move of the server that it has announced, if that is what the event tells. State and circuit are those of before.
    pub handoff: Option<Handoff>,
    /// The time at which the change was published.
    pub at: SystemTime,
    /// Sequence number of the change, counted from 1 over all databases of the supervisor.
    pub sequence: u64,
    /// Number of events that this subscriber has missed right before this one, because it was slow. The
    /// last event of each database is never missed.
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
        if let Some(recovery) = &self.recovery {
            write!(f, "; {recovery}")?;
        }
        if !self.changed.is_empty() {
            write!(f, "; changed {}", self.changed.join(", "))?;
        }
        if let Some(failover) = &self.failover {
            write!(f, "; {failover}")?;
        }
        if let Some(handoff) = &self.handoff {
            write!(f, "; {handoff}")?;
        }
        Ok(())
    }
}
