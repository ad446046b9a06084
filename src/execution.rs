//! The progress of a command: whether a failed one may have run, its stage at the deadline, and the source of a
//! reply.

use std::fmt;

/// Whether a failed command may have run. [`Error::execution`](crate::Error::execution) gives it.
///
/// It decides whether the caller may send the command again. It covers all attempts of a call: if one
/// of them may have run, the call may have run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Execution {
    /// No byte of the command was written. Sending it again is safe.
    NotSent,
    /// The server refused the command, which had no effect: the code or the text of its error reply proves
    /// it. Sending it again is safe.
    NotExecuted,
    /// The server ran the command and answered it. The failure came afterwards, such as a reply of
    /// another type. In a pipeline, some commands ran and some failed.
    Executed,
    /// The command was written and its effect is not known: no reply came, or a script failed, or the
    /// error reply proves nothing, as the `ERR` of a proxy that lost its server. Send it again only if it may run twice; see
    /// [`Database::idempotent`](crate::Database::idempotent).
    Unknown,
}

impl fmt::Display for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSent => "the command was not sent",
            Self::NotExecuted => "the command was not executed",
            Self::Executed => "the command was executed",
            Self::Unknown => "the command may have been executed",
        })
    }
}

/// Where a reply comes from; [`Database::query_with_source`](crate::Database::query_with_source) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The server has run the command.
    Redis,
    /// The store of a [`Fallback`](crate::Fallback) has run it, in this process. The server knows nothing of it.
    Memory,
    /// The near cache of [`Database::cached`](crate::Database::cached). The server was not asked.
    Cache,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redis => "the server",
            Self::Memory => "a store in memory",
            Self::Cache => "the near cache",
        })
    }
}

/// The place of a command when its deadline passed; see [`Error::TimedOut`](crate::Error::TimedOut).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// It waited for a shared connection. None was open: the server cannot be reached, or is loading
    /// its dataset.
    Connect,
    /// It waited for a lease: for [`Database::lease`](crate::Database::lease), a transaction or a
    /// blocking command. All connections that may be leased were in use, or none could be opened.
    Acquire,
    /// It waited in the queue of a connection and had not been written.
    Queue,
    /// It had been written and waited for its reply.
    Reply,
    /// A [blocking](crate::BlockingDatabase) call waited for its connection, and the connection's
    /// runtime made no progress until a second after the deadline: it is not driven, or all of its
    /// threads are blocked. With [`Io::Dedicated`](crate::Io::Dedicated) connections run on a runtime of
    /// the crate's own.
    Runtime,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "waiting for a connection",
            Self::Acquire => "waiting to lease a connection",
            Self::Queue => "waiting to be written",
            Self::Reply => "waiting for the reply",
            Self::Runtime => {
                "waiting for the runtime of its connection, which makes no progress (see \
                 Io::Dedicated)"
            }
        })
    }
}
