//! Messages to a pool.

use std::time::Duration;

use actix::Message;
use tokio::time::Instant;

use crate::net::{ConnectionExit, DialError, Established, Request};

/// Send this request after a pause, or keep it until a connection is ready or its deadline passes.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Park {
    pub(crate) request: Request,
    pub(crate) after: Duration,
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
    pub(crate) ended: ConnectionExit,
}
