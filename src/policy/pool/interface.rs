//! Events go into the machine of a pool, and actions come out of it.

use std::time::Instant;

use super::Limits;
use crate::events::Reason;

/// Something that has happened. `N` is evidence for the health actor, which the machine passes on or drops.
#[derive(Debug)]
pub(crate) enum Event<W, N> {
    /// The pool begins.
    Started,
    /// Time has passed: the instant of [`Pool::wake_at`](super::Pool::wake_at) may have come.
    Woken,
    /// A caller asks for a connection of its own.
    Acquired(W),
    /// A connection that was to be handed over had ended before.
    NotHandedOver { id: u64, waiter: W },
    /// A caller has given its connection back.
    Released {
        id: u64,
        /// The connection is as good as new for the next caller.
        is_clean: bool,
        /// A reply has shown that it may lead to the wrong server.
        is_suspect: bool,
        /// The connection has not ended by itself.
        is_open: bool,
    },
    /// The number of requests that wait in the shell for a shared connection.
    Parked(usize),
    /// A dial has opened a connection.
    Opened { id: u64, evidence: N },
    /// A dial has failed.
    DialFailed {
        id: u64,
        reason: Reason,
        evidence: N,
    },
    /// The result of a dial was dropped, because [`Pool::wants`](super::Pool::wants) said no.
    DialDropped(u64),
    /// The task of a connection has ended, and its socket is closed.
    ConnectionEnded {
        id: u64,
        /// The connection broke: it was not closed in good order.
        is_lost: bool,
        evidence: Option<N>,
    },
    /// A shared connection has more to do than its task can.
    Saturated,
    /// Connections that are idle or old are to be closed.
    Swept,
    /// The present connections may lead to the wrong server, and are to be replaced. With an id: only if that
    /// connection still serves.
    Distrusted { only: Option<u64> },
    /// The server is elsewhere from now on, and these connections lead to where it was. Dials may lead there as well.
    Moved { stale: Vec<u64> },
    /// The server goes, and dials lead to where it will be: open a connection there before the present ones go.
    HandOff,
    /// There is a connection to where the server goes. These leased ones lead to where it was, and so may dials for leases.
    LeftBehind(Vec<u64>),
    /// The health actor asks for a dial at this time.
    Redial { at: Instant },
    /// The server has said which of the leased connections it still knows.
    Verified { known: Vec<u64>, disowned: Vec<u64> },
    /// The server was asked for them, and has not said it.
    NotVerified,
    /// The settings have changed. If it `renews`, the present connections do not have the new ones.
    Reconfigured { limits: Limits, renews: bool },
    /// The leases that are out, and what their callers do with them. The shell tells it while the pool ends,
    /// before each other event.
    Leases(Vec<(u64, Occupation)>),
    /// The pool is to end: in good order until the deadline, by force after it.
    Drain { deadline: Instant },
}

/// Something to do.
#[derive(Debug)]
pub(crate) enum Action<W, P, N> {
    /// Open a connection, and hold the place for as long as its socket is open.
    Dial { id: u64, place: P },
    /// Give up a dial.
    CancelDial(u64),
    /// Give this connection to this caller.
    HandOver { id: u64, waiter: W },
    /// Tell this caller that there is no connection.
    Reject { waiter: W, why: Rejection },
    /// Take this connection out of service. It ends when all its requests are answered.
    Close { id: u64, why: Closing },
    /// End this connection now, even with requests unanswered.
    Cut { id: u64, why: Cut },
    /// Ask the server whether it still knows these leased connections.
    Verify(Vec<u64>),
    /// Ask the server to end the waits of the commands that block on these connections.
    Unblock(Vec<u64>),
    /// Publish the shared connections, which are those of [`Pool::serving`](super::Pool::serving).
    Publish,
    /// Send the parked requests on this connection.
    SendParked(u64),
    /// Answer the parked requests with an error: the pool is shutting down.
    RefuseParked,
    /// Pass this evidence on to the health actor.
    Report(N),
    /// End all connections now, even with requests unanswered.
    StopAll,
    /// Nothing is left to wait for: the pool ends.
    Finish,
}

/// Why a caller gets no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    TimedOut,
    TooManyWait,
    ShuttingDown,
}

/// Why a connection is taken out of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// The connection works, but is too old or not needed.
    Evicted(Eviction),
    /// The connection may not be used again: its session is not clean, or it leads to the wrong server.
    Discarded,
}

/// What the caller of a lease does with its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occupation {
    /// No command is under way.
    Idle,
    /// A command is under way, and does not block.
    Busy,
    /// A command is under way that may block.
    Blocked,
}

/// Why a connection is ended at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server does not know it any more.
    Disowned,
    /// The server is elsewhere, and what is still sent there would be lost.
    Moved,
    /// The pool ends, and its caller does nothing with it.
    ShuttingDown,
}

/// Why a working connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Eviction {
    /// The connection was not used for the idle timeout.
    Idle,
    /// The connection is older than the maximum lifetime.
    Lifetime,
    /// Fewer connections can do the work that is left, or fewer are permitted.
    Spare,
    /// The connection is idle, and its place is needed for a shared connection.
    Displaced,
    /// The settings have changed since the connection was opened, and another one has the new ones.
    Outdated,
    /// The server has announced that it moves, and there is a connection to where it is then.
    Moved,
}
