//! The reasons for the end of a connection.

use std::{io, time::Duration};

use super::codec::ProtocolError;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CloseReason {
    /// The last sender of its mailbox was dropped and all requests are answered: the orderly end.
    #[error("it was closed after its last reply")]
    Drained,
    /// The grace of a shutdown is over.
    #[error("it was closed by a shutdown")]
    Stopped,
    #[error("the server closed it")]
    ClosedByServer,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the server's answer is malformed: {0}")]
    Protocol(#[from] ProtocolError),
    #[error("the server sent a reply that nobody had asked for")]
    Unsolicited,
    #[error("requests timed out and no byte came for {0:?}")]
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
    /// Whether replies received before the end still belong to the pending requests.
    pub(crate) fn leaves_replies_in_step(&self) -> bool {
        !matches!(self, Self::Protocol(_) | Self::Unsolicited)
    }
}
