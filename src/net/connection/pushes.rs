//! Messages that a server sends unasked.

use std::fmt;

use redis::{PushKind, Value};

/// Takes the pushes of a connection that confirm no subscription, in their order with the replies: a
/// push that comes before a reply is taken before that reply's caller is woken.
///
/// It runs within the connection's turn, so it must not block.
pub(crate) trait PushSink: fmt::Debug + Send + 'static {
    fn push(&mut self, kind: PushKind, data: Vec<Value>);
}
