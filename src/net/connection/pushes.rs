//! The sink of pushes, which a server sends without a request.

use std::fmt;

use redis::{PushKind, Value};

/// Takes the pushes of a connection, except confirmations of subscriptions, in order with the replies: a
/// push that comes before a reply is taken before the caller of that reply is woken.
///
/// It runs within the connection's turn, so it must not block.
pub(crate) trait PushSink: fmt::Debug + Send + 'static {
    fn push(&mut self, kind: PushKind, data: Vec<Value>);
}
