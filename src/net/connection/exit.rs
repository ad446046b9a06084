//! How a connection ended.

use std::{collections::VecDeque, fmt, sync::Arc};

use crate::net::{close::CloseReason, request::Request};

/// How a connection ended.
#[derive(Debug)]
pub(crate) struct ConnectionExit {
    pub(crate) loss: Arc<CloseReason>,
    /// Callers that do not know whether their command was executed.
    pub(crate) victims: u64,
    /// The reply to all their commands may be of any size.
    pub(crate) may_be_large: bool,
}

impl ConnectionExit {
    /// Whether the end says something against the server.
    ///
    /// A caller that asks for too large a reply can end its connection again and again while the server
    /// works: the reply takes too long, or the server closes the connection because its output buffer is
    /// full. Such a server mostly writes nothing of that reply, so an end by the peer with a single read
    /// outstanding looks the same. If the server has gone, the next dial fails, which counts.
    /// What is superseded says nothing about its successor.
    pub(crate) fn is_evidence(&self) -> bool {
        match *self.loss {
            CloseReason::Superseded
            | CloseReason::ClosedWithinReply(_)
            | CloseReason::ReadOver(_)
            | CloseReason::PushTooLarge(_)
            | CloseReason::MessageOrReplyTooLarge(_) => false,
            ref loss if loss.is_by_peer() => {
                self.victims > 1 || self.victims == 1 && !self.may_be_large
            }
            _ => self.victims > 0,
        }
    }

    /// The exit of a connection whose task ended without returning one.
    pub(crate) fn untold(loss: CloseReason) -> Self {
        Self {
            loss: Arc::new(loss),
            victims: 0,
            may_be_large: false,
        }
    }
}

/// Takes back the requests that a connection has not written, to be sent elsewhere. It belongs to one
/// connection, which drops it as soon as it has written all that it will ever get, and at its end.
pub(crate) trait UnsentSink: fmt::Debug + Send + 'static {
    /// The connection takes no more requests. Later ones wait until this has taken back the earlier ones, so
    /// that none overtakes them.
    fn hold(&self);

    /// Takes the requests in the order of their calls.
    fn take_back(&self, unsent: VecDeque<Request>);
}
