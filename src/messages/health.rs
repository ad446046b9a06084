//! Messages to the health actor.

use std::sync::Arc;

use actix::Message;

use crate::{
    config::Address,
    events::{Reason, Recovery},
    health_check::Answers,
    identity::DatabaseId,
    net::{CloseReason, DialError, ServerInfo},
    policy::cluster::Shards,
};

/// Evidence about the health of a database.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Report {
    pub(crate) database: DatabaseId,
    pub(crate) evidence: Evidence,
}

/// An event that concerns the health of a database.
#[derive(Debug)]
pub(crate) enum Evidence {
    /// Open connections cannot authenticate with new credentials, and keep the former ones.
    LoginFailed(DialError),
    /// A command failed in a way that counts against the server. The epoch is that of its admission.
    CommandFailed { epoch: u64, reason: Reason },
    /// A command has succeeded between two that failed.
    CommandSucceeded,
    /// The server refused a kind of command that it now refuses to all callers.
    CommandRefused { reason: Reason },
    /// A command that was admitted as a trial succeeded.
    TrialSucceeded { epoch: u64 },
    /// A connection was opened and proved itself.
    Connected(ServerInfo),
    /// No connection could be opened; the pool waits for a [`Redial`](super::Redial).
    DialFailed(DialError),
    /// A connection broke with requests on it.
    ConnectionLost(Arc<CloseReason>),
    /// How much of the cluster can be used.
    Shards(Shards),
    /// The pool crashed and was started again.
    Restarted,
    /// The pool crashed too often and was given up.
    GivenUp,
}

/// The result of a check of an endpoint: whether it answers.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct EndpointChecked {
    pub(crate) endpoint: Address,
    pub(crate) result: Result<(), DialError>,
}

/// The result of a probe of a database, over a new connection.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Probed {
    pub(crate) database: DatabaseId,
    /// The epoch in which the probe began.
    pub(crate) epoch: u64,
    pub(crate) result: Result<ServerInfo, DialError>,
}

/// The result of a question to the present connection of a database.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Asked {
    pub(crate) database: DatabaseId,
    /// The epoch in which the question was put.
    pub(crate) epoch: u64,
    pub(crate) has_answered: bool,
}

/// An attempt to carry out at the server what a local store keeps for it has ended. Without a recovery, not all is
/// carried out.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct RecoveryEnded {
    pub(crate) database: DatabaseId,
    pub(crate) recovery: Option<Recovery>,
}

/// Ask the server of a database how it is. There is no answer if there is no such database.
#[derive(Debug, Message)]
#[rtype(result = "Option<Answers>")]
pub(crate) struct CheckHealth {
    pub(crate) database: DatabaseId,
}

/// Set the circuit of a database by hand, instead of by evidence.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Operate {
    pub(crate) database: DatabaseId,
    pub(crate) operation: Operation,
}

/// An operation by hand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    /// Let no command through until a reset.
    Isolate,
    /// Close the circuit, and forget what opened it.
    Reset,
}
