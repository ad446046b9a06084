//! The subscriptions of a client, and the connection that they are on.

use std::task::{Context, Poll};

use redis::{PushKind, Value};

use super::message::{Message, Messages};
use crate::lease::Lease;

#[derive(Debug)]
pub(super) struct Subscription {
    /// Its connection, except while a command runs on it.
    pub(super) lease: Option<Lease>,
    messages: Messages,
    counts: Counts,
}

/// The subscriptions by kind, as the confirmations that the client has got count them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) channels: i64,
    pub(super) patterns: i64,
    pub(super) shard_channels: i64,
}

impl Subscription {
    pub(super) fn new(lease: Lease, messages: Messages) -> Self {
        Self {
            lease: Some(lease),
            messages,
            counts: Counts::default(),
        }
    }

    /// The next message; `None` when the connection has ended.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let next = self.messages.poll_next(cx);
        if let Poll::Ready(Some(message)) = &next {
            self.counts.note(message);
        }
        next
    }

    /// Whether a message found no room. The client is woken when that happens.
    pub(super) fn poll_overflow(&self, cx: &mut Context<'_>) -> bool {
        self.messages.poll_overflow(cx)
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the client has left all channels and patterns, and neither a message nor a command is about to change
    /// that.
    pub(super) fn is_over(&self) -> bool {
        // A task that has done enough for its turn gets no message, although there are some.
        self.lease.is_some() && self.counts == Counts::default() && self.messages.is_empty()
    }
}

impl Counts {
    /// The server counts channels and patterns together.
    fn note(&mut self, message: &Message) {
        let Some(Value::Int(count)) = message.data.last() else {
            return;
        };
        match message.kind {
            PushKind::Subscribe | PushKind::Unsubscribe => self.channels = count - self.patterns,
            PushKind::PSubscribe | PushKind::PUnsubscribe => self.patterns = count - self.channels,
            PushKind::SSubscribe | PushKind::SUnsubscribe => self.shard_channels = *count,
            _ => {}
        }
    }
}
