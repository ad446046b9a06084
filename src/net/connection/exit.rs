//! How a connection ended.

use std::{collections::VecDeque, sync::Arc};

use crate::net::{close::CloseReason, request::Request};

/// How a connection ended.
#[derive(Debug)]
pub(crate) struct ConnectionExit {
    pub(crate) loss: Arc<CloseReason>,
    /// Requests that were never written, in order, to be sent elsewhere.
    pub(crate) unsent: VecDeque<Request>,
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
    pub(crate) fn is_evidence(&self) -> bool {
        match *self.loss {
            CloseReason::ClosedWithinReply(_)
            | CloseReason::ReadOver(_)
            | CloseReason::PushTooLarge(_) => false,
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
            unsent: VecDeque::new(),
            victims: 0,
            may_be_large: false,
        }
    }
}
