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
}

impl ConnectionExit {
    /// The exit of a connection whose task ended without returning one.
    pub(crate) fn untold(loss: CloseReason) -> Self {
        Self {
            loss: Arc::new(loss),
            unsent: VecDeque::new(),
            victims: 0,
        }
    }
}
