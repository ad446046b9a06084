//! The sink of pushes, which a server sends without a request.

use std::{
    fmt,
    sync::{Arc, OnceLock, Weak},
};

use redis::{PushKind, Value};

use super::{Connection, subscriptions};
use crate::{
    maintenance::Announcement,
    net::{close::CloseReason, codec::Decoded},
};

/// Takes the pushes of a connection, in order with the replies: a push that comes before a reply is taken
/// before the caller of that reply is woken. The confirmations of subscriptions are among them, although they
/// are replies as well. In RESP2, messages and confirmations are taken as the pushes that they are in RESP3.
///
/// It runs within the connection's turn, so it must not block.
pub(crate) trait PushSink: fmt::Debug + Send + Sync + 'static {
    fn push(&self, kind: PushKind, data: Vec<Value>);
}

type Sink = OnceLock<Box<dyn PushSink>>;

/// The place for the sink of a connection. While there is none, pushes are dropped. The sink is dropped with
/// the connection, so its owner learns that no more will come.
#[derive(Debug, Default)]
pub(crate) struct PushSlot(Arc<Sink>);

/// The way for a sink into the slot of a connection.
#[derive(Clone, Debug)]
pub(crate) struct PushInlet(Weak<Sink>);

impl PushSlot {
    pub(crate) fn inlet(&self) -> PushInlet {
        PushInlet(Arc::downgrade(&self.0))
    }

    pub(super) fn has_sink(&self) -> bool {
        self.0.get().is_some()
    }

    /// Hands a push over, or an array that is one in RESP3.
    pub(super) fn push(&self, value: Value) {
        let Some(sink) = self.0.get() else {
            return;
        };
        match value {
            Value::Push { kind, data } => sink.push(kind, data),
            Value::Array(mut items) => {
                if let Some(kind) = subscriptions::kind(&items) {
                    items.remove(0);
                    sink.push(kind, items);
                }
            }
            _ => {}
        }
    }
}

impl PushInlet {
    /// Puts the sink in, before which there was none. If the connection has ended, the sink is dropped.
    pub(crate) fn put(&self, sink: Box<dyn PushSink>) {
        if let Some(slot) = self.0.upgrade()
            && slot.set(sink).is_err()
        {
            unreachable!("BUG: a connection has one sink");
        }
    }
}

impl Connection {
    /// The owner of a sink must not miss a push unnoticed.
    pub(super) fn hand_over_push(&mut self, push: Decoded) -> Result<(), CloseReason> {
        match push {
            Decoded::Value(push) => {
                if !self.take_announcement(&push) {
                    self.pushes.push(push);
                }
            }
            Decoded::TooLarge(oversized) if self.pushes.has_sink() => {
                return Err(CloseReason::PushTooLarge(oversized.limit));
            }
            Decoded::TooLarge(_) => {}
        }
        Ok(())
    }

    /// Tells what the server announces, which is meant for no owner of a sink. Tells whether the push was of that
    /// kind.
    pub(super) fn take_announcement(&self, push: &Value) -> bool {
        let (Some(announcements), Value::Push { kind, data }) = (&self.announcements, push) else {
            return false;
        };
        let PushKind::Other(kind) = kind else {
            return false;
        };
        if let Some(announcement) = Announcement::read(kind, data) {
            // An error means that the pool has gone, or is flooded with them.
            let _ = announcements.try_send(announcement);
        }
        Announcement::is_kind(kind)
    }

    /// The owner of a sink gets it in order with the messages, and as a reply.
    pub(super) fn hand_over_confirmation(&self, confirmation: &Decoded) {
        if self.pushes.has_sink()
            && let Decoded::Value(confirmation) = confirmation
        {
            self.pushes.push(confirmation.clone());
        }
    }
}
