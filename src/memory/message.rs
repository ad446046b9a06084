//! Messages to clients, which are no replies.

use std::borrow::Cow;

use bytes::Bytes;

use super::{
    reply::{Protocol, Reply},
    session::{ClientId, Session},
};

/// The channel of clients without RESP3 that are told in the place of others.
const INVALIDATIONS: &str = "__redis__:invalidate";

/// Its form depends on the client as it is when the message is sent: a command that a message has to wait for may change
/// the protocol.
#[derive(Clone, Debug)]
pub(super) enum Message {
    /// From a channel to which the client has subscribed.
    Published(Reply),
    /// Keys have changed; all if there is no list.
    Invalidation {
        keys: Option<Vec<Bytes>>,
        /// Another client than the one that is told tracks them.
        is_redirected: bool,
    },
    /// The client of this number, which was told in the place of the present one, has gone.
    BrokenRedirect(ClientId),
}

impl Message {
    /// What the client is sent; nothing if it could not tell it from a reply.
    pub(super) fn form(&self, session: &Session) -> Option<Cow<'_, Reply>> {
        let is_resp3 = session.protocol == Protocol::Resp3;
        let parts = match self {
            Self::Published(message) => return Some(Cow::Borrowed(message)),
            Self::Invalidation {
                keys,
                is_redirected,
            } => {
                let keys = keys.clone().map_or(Reply::Null, Reply::bulks);
                if is_resp3 {
                    vec![Reply::text("invalidate"), keys]
                } else if *is_redirected && !session.subscriptions.is_empty() {
                    vec![Reply::text("message"), Reply::text(INVALIDATIONS), keys]
                } else {
                    return None;
                }
            }
            Self::BrokenRedirect(_) if !is_resp3 => return None,
            Self::BrokenRedirect(target) => {
                let target = Reply::Integer(*target as i64);
                vec![Reply::text("tracking-redir-broken"), target]
            }
        };
        Some(Cow::Owned(Reply::Push(parts)))
    }
}
