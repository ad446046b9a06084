//! The events that concern the health of a database.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::Limits;
use crate::{
    events::{Reason, Recovery},
    policy::cluster::Shards,
};

/// Something that concerns the health of a database.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A connection was opened and proved itself.
    Connected(Greeting),
    /// No connection could be opened; the pool waits for a [`Redial`](super::Action::Redial).
    DialFailed(Fault),
    /// An open connection cannot authenticate with new credentials, and keeps the former ones.
    LoginFailed(Fault),
    /// A connection broke with requests on it.
    ConnectionLost(Arc<str>),
    /// Commands have succeeded since this was last said.
    CommandSucceeded,
    /// A command met a server that fails every caller. The epoch is the one it was admitted in.
    CommandFailed { epoch: u64, reason: Reason },
    /// The server refused a kind of command that it will refuse to every caller.
    CommandRefused(Reason),
    /// A command that was admitted as a trial succeeded.
    TrialSucceeded { epoch: u64 },
    /// The counters were looked at.
    Observed(Counts),
    /// A probe that began in this epoch has ended.
    Probed {
        epoch: u64,
        result: Result<Greeting, Fault>,
    },
    /// The present connection was asked in this epoch, and has answered or not. Without a connection there
    /// is no answer.
    Asked { epoch: u64, has_answered: bool },
    /// The endpoint answers; a pool that waits for it dials after this pause.
    EndpointAnswered { after: Duration },
    /// The endpoint was asked and did not answer. It is asked again then.
    EndpointFailed { fault: Fault, next_check: Instant },
    /// What was kept for the server is carried out, and the local store has ended.
    Recovered(Recovery),
    /// Not all that is kept for the server could be carried out.
    RecoveryFailed,
    /// How much of the cluster can be used.
    Shards(Shards),
    /// The pool crashed, or was given up, and there is a new one.
    Restarted,
    /// The pool crashed too often and was given up.
    GivenUp,
    /// An operator wants no command to pass until a reset.
    Isolate,
    /// An operator wants the circuit closed, and its causes forgotten.
    Reset,
    /// The settings have changed. Some changes need new connections.
    Reconfigured {
        limits: Limits,
        needs_connections: bool,
    },
    /// Time has passed.
    Tick,
}

/// Commands so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Attempts that have ended.
    pub(crate) calls: u64,
    pub(crate) slow: u64,
    /// Slow, and given up by their callers, so that none of them reports it.
    pub(crate) unanswered: u64,
}

/// A server's words about itself when a connection was opened; `None` where it said nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Greeting {
    pub(crate) is_replica: Option<bool>,
    pub(crate) cannot_save: Option<bool>,
}

/// Why something failed.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) cause: Option<Arc<str>>,
}
