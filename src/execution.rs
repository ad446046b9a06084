//! How far a command got: whether it may have run, and where its deadline met it.

use std::fmt;

/// How far the server got with a command that failed.
///
/// It answers the one question that decides whether a command may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Execution {
    /// No byte of the command left this process. Sending it again is safe.
    NotSent,
    /// The server received the command and refused it without any effect. Sending it again is safe.
    NotExecuted,
    /// The server ran the command and answered it; the failure came afterwards.
    Executed,
    /// The command was written, and no answer came: it may have run or not.
    Unknown,
}

impl fmt::Display for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSent => "it was not sent",
            Self::NotExecuted => "it was not executed",
            Self::Executed => "it was executed",
            Self::Unknown => "it may have been executed",
        })
    }
}

/// Where a command was when its deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// It waited for a connection; none was ready.
    Connect,
    /// It waited for a connection of its own; all that may be open were in use.
    Acquire,
    /// It waited in a connection's queue and had not been written.
    Queue,
    /// It had been written and waited for its reply.
    Reply,
    /// A [blocking](crate::BlockingDatabase) call waited for its connection, whose runtime made no
    /// progress for a second beyond the deadline: nobody drives it, or all of its threads are
    /// blocked. With [`Io::Dedicated`](crate::Io::Dedicated) connections depend on no runtime but
    /// their own.
    Runtime,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "waiting for a connection",
            Self::Acquire => "waiting for a connection of its own",
            Self::Queue => "waiting to be written",
            Self::Reply => "waiting for the reply",
            Self::Runtime => {
                "waiting for the runtime of its connection, which makes no progress (see \
                 Io::Dedicated)"
            }
        })
    }
}
