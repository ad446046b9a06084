//! The reasons for the end of a connection.

use std::{io, time::Duration};

use super::codec::{ProtocolError, ReplyLimit};
use crate::rounded::Rounded;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CloseReason {
    /// The last sender of its mailbox was dropped and all requests are answered: the orderly end.
    #[error("it was closed after its last reply")]
    Drained,
    /// The grace of a shutdown is over.
    #[error("it was closed by a shutdown")]
    Stopped,
    /// The server does not list it any more: it was restarted, or has given the connection up.
    #[error("the server does not know it any more")]
    Disowned,
    /// The sentinels have named another primary.
    #[error("it led to a server that is not the primary any more")]
    Superseded,
    #[error("the server closed it")]
    ClosedByServer,
    /// The server closes a client whose replies fill its output buffer.
    #[error(
        "the server closed it within a reply, after {0} bytes of it; perhaps the reply exceeds the \
         server's client-output-buffer-limit"
    )]
    ClosedWithinReply(usize),
    /// The owner of the pushes would have missed one.
    #[error("a push was too large: {0}")]
    PushTooLarge(ReplyLimit),
    /// In RESP2 nothing tells a message that is too large from a reply that is.
    #[error("a message of a subscription, or a reply, was too large: {0}")]
    MessageOrReplyTooLarge(ReplyLimit),
    /// The rest of a reply that exceeds a limit did not come soon enough.
    #[error("a reply took too long to be read over: {0}")]
    ReadOver(ReplyLimit),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the server's answer is malformed: {0}")]
    Protocol(#[from] ProtocolError),
    #[error("the server sent a reply that nobody had asked for")]
    Unsolicited,
    #[error("requests timed out and no byte came for {}", Rounded(*.0))]
    Silent(Duration),
    /// The runtime that it ran on has ended.
    #[error("the runtime that it ran on has ended")]
    RuntimeEnded,
    #[error("its task panicked")]
    Panicked,
    /// A request was sent to it after its end.
    #[error("it had ended before")]
    Gone,
}

impl CloseReason {
    /// Whether the peer closed it, in order or not.
    pub(crate) fn is_by_peer(&self) -> bool {
        match self {
            Self::ClosedByServer | Self::ClosedWithinReply(_) => true,
            Self::Io(error) => matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
            ),
            _ => false,
        }
    }

    /// Whether replies received before the end still belong to the pending requests.
    pub(crate) fn leaves_replies_in_step(&self) -> bool {
        !matches!(
            self,
            Self::Protocol(_) | Self::Unsolicited | Self::MessageOrReplyTooLarge(_)
        )
    }
}
