//! Messages to the health actor.

use std::sync::Arc;

use actix::Message;

use crate::{
    config::Address,
    events::Reason,
    net::{CloseReason, DialError, ServerInfo},
};

/// Something happened to a database that concerns its health.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Report {
    pub(crate) database: Arc<str>,
    pub(crate) evidence: Evidence,
}

/// What happened to a database.
#[derive(Debug)]
pub(crate) enum Evidence {
    /// A command met a server that fails everybody. The epoch is the one it was admitted in.
    CommandFailed { epoch: u64, reason: Reason },
    /// The server refused a kind of command that it will refuse to everybody.
    CommandRefused { reason: Reason },
    /// A command that was admitted as a trial succeeded.
    TrialSucceeded { epoch: u64 },
    /// A connection was opened and proved itself.
    Connected(ServerInfo),
    /// No connection could be opened; the pool waits for a [`Redial`](super::Redial).
    DialFailed(DialError),
    /// A connection broke with requests on it.
    ConnectionLost(Arc<CloseReason>),
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
    pub(crate) result: Result<ServerInfo, DialError>,
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
