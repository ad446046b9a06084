//! Messages to the supervisor.

use std::{sync::Arc, time::Duration};

use actix::Message;

use crate::error::Error;

/// A child of the supervisor has ended without having been told to stop.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ChildExited(pub(crate) Child);

/// A child of the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Child {
    Health,
    Janitor,
    /// The pool of the database of this name.
    Pool(Arc<str>),
    /// The relay of the database of this name.
    Relay(Arc<str>),
}

/// Answered when every database is healthy, or after this time with the databases that are not.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Error>")]
pub(crate) struct AwaitReady {
    pub(crate) within: Duration,
}

/// Restart a pool that was given up.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Revive(pub(crate) Arc<str>);

/// Stop everything. Commands under way get this grace.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Shutdown {
    pub(crate) grace: Duration,
}

/// Sweep all pools now. Answered with the number of connections that were taken out of service.
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub(crate) struct SweepAll;
