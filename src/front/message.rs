//! The messages of subscriptions, on their way from the connection of a client to the client.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use bytes::BytesMut;
use futures_util::task::AtomicWaker;
use redis::{PushKind, Value};
use tokio::sync::mpsc;

use super::answer;
use crate::{
    net::PushSink,
    wire::reply::{Protocol, bulk, head},
};

/// What a message takes beside its texts.
const OVERHEAD: usize = 128;

/// A message, or the confirmation of a change of the subscriptions.
#[derive(Debug)]
pub(super) struct Message {
    name: &'static str,
    pub(super) kind: PushKind,
    pub(super) data: Vec<Value>,
}

impl Message {
    /// Writes it as this version of the protocol has it: a push, or in RESP2 an array.
    pub(super) fn write(&self, protocol: Protocol, out: &mut BytesMut) {
        let mark = match protocol {
            Protocol::Resp2 => b'*',
            Protocol::Resp3 => b'>',
        };
        head(out, mark, 1 + self.data.len() as i64);
        bulk(out, b'$', self.name.as_bytes());
        for value in &self.data {
            answer::write(value, protocol, out);
        }
    }

    fn bytes(&self) -> usize {
        let text = |value: &Value| match value {
            Value::BulkString(bytes) => bytes.len(),
            _ => 0,
        };
        OVERHEAD + self.data.iter().map(text).sum::<usize>()
    }
}

/// The name of a push of a subscription; `None` for all others, which no command of a client asks for.
fn name(kind: &PushKind) -> Option<&'static str> {
    Some(match kind {
        PushKind::Message => "message",
        PushKind::PMessage => "pmessage",
        PushKind::SMessage => "smessage",
        PushKind::Subscribe => "subscribe",
        PushKind::PSubscribe => "psubscribe",
        PushKind::SSubscribe => "ssubscribe",
        PushKind::Unsubscribe => "unsubscribe",
        PushKind::PUnsubscribe => "punsubscribe",
        PushKind::SUnsubscribe => "sunsubscribe",
        _ => return None,
    })
}

/// A queue for so many bytes of messages, and the way into it.
pub(super) fn queue(most: usize) -> (MessageSink, Messages) {
    let (sender, queue) = mpsc::unbounded_channel();
    let backlog = Arc::new(Backlog {
        most,
        bytes: AtomicUsize::new(0),
        has_overflowed: AtomicBool::new(false),
        client: AtomicWaker::new(),
    });
    let sink = MessageSink {
        sender,
        backlog: backlog.clone(),
    };
    (sink, Messages { queue, backlog })
}

/// What waits in a queue.
#[derive(Debug)]
struct Backlog {
    most: usize,
    bytes: AtomicUsize,
    has_overflowed: AtomicBool,
    /// Woken when there is no room, also while its client reads nothing.
    client: AtomicWaker,
}

/// Takes messages from a connection.
#[derive(Debug)]
pub(super) struct MessageSink {
    sender: mpsc::UnboundedSender<Message>,
    backlog: Arc<Backlog>,
}

impl PushSink for MessageSink {
    fn push(&self, kind: PushKind, data: Vec<Value>) {
        let Some(name) = name(&kind) else {
            return;
        };
        let message = Message { name, kind, data };
        let bytes = message.bytes();
        let before = self.backlog.bytes.fetch_add(bytes, Relaxed);
        if before + bytes > self.backlog.most {
            self.backlog.bytes.fetch_sub(bytes, Relaxed);
            self.backlog.has_overflowed.store(true, Relaxed);
            self.backlog.client.wake();
        } else {
            // The client may have gone.
            let _ = self.sender.send(message);
        }
    }
}

/// The messages that wait for a client.
#[derive(Debug)]
pub(super) struct Messages {
    queue: mpsc::UnboundedReceiver<Message>,
    backlog: Arc<Backlog>,
}

impl Messages {
    /// The next message; `None` when the connection has ended.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.queue.poll_recv(cx).map(|message| {
            let message = message?;
            self.backlog.bytes.fetch_sub(message.bytes(), Relaxed);
            Some(message)
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether a message found no room, so that the client has missed it. The client is woken when that happens.
    pub(super) fn poll_overflow(&self, cx: &mut Context<'_>) -> bool {
        self.backlog.client.register(cx.waker());
        self.backlog.has_overflowed.load(Relaxed)
    }
}
