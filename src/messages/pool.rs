//! Messages to a pool.

use std::{sync::Arc, time::Duration};

use actix::Message;
use redis::Cmd;
use tokio::time::Instant;

use crate::{
    config::{Address, DatabaseSettings},
    maintenance::Moving,
    net::{ConnectionExit, DialError, Established, LoginNote},
};

/// Requests wait for a shared connection, or wait no more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Parked;

/// Send the request that was set aside under this ticket: what was sent to the pool before it is done.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Release {
    pub(crate) ticket: u64,
}

/// A shared connection is saturated: it has more requests than its task can handle.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Saturated;

/// A server has announced its maintenance on the connection with this id.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Announced {
    pub(crate) id: u64,
    /// It is new that the server moves.
    pub(crate) moving: Option<Moving>,
    /// It is new that slots of a cluster have moved.
    pub(crate) slots_have_moved: bool,
    /// The number of works that are under way and make replies slow.
    pub(crate) works: usize,
}

/// Try to open a connection after this pause, unless there is one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Redial {
    pub(crate) after: Duration,
}

/// Take the present connection out of service: it can no longer be trusted.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Retire {
    /// Only if it is the connection with this id, because a newer one may have taken its place.
    pub(crate) only: Option<u64>,
}

/// The primary of the database is at this address from now on, whoever said so: end all connections to another one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Moved {
    pub(crate) primary: Address,
}

/// Close connections that are idle for too long or too old, and drop requests whose callers have gone.
/// Answered with the number of connections that were taken out of service.
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub(crate) struct Sweep;

/// Finish requests under way until the deadline, then stop. Answered when no connection is left.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Drain {
    pub(crate) deadline: Instant,
}

/// The server was asked which of the leased connections it still knows.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Verified {
    pub(crate) known: Vec<u64>,
    pub(crate) disowned: Vec<u64>,
}

/// The server has not said which of the leased connections it knows, and may say it later.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct NotVerified;

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
    /// The connection's id: a late end must not be taken for the end of its successor.
    pub(crate) id: u64,
    pub(crate) ended: ConnectionExit,
}

/// The provider of credentials was asked on behalf of open connections. It holds a password, so it cannot be shown.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LoginFetched {
    /// It was asked for these.
    pub(crate) settings: Arc<DatabaseSettings>,
    /// The command by which connections authenticate; `None` if there is no provider any more.
    pub(crate) result: Result<Option<(Cmd, LoginNote)>, DialError>,
}

/// Open connections were told to authenticate again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Authenticated {
    /// The server does not accept the new credentials.
    pub(crate) refusal: Option<DialError>,
}
