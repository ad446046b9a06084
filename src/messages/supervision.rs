//! Messages to the supervisor, and of its children.

use std::{sync::Arc, time::Duration};

use actix::Message;

use crate::error::Error;

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

/// Sweep all pools now. Answered with the number of connections that were taken out of service.
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub(crate) struct SweepAll;
