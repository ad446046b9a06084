//! The sink of pushes, which a server sends without a request.

use std::{
    fmt,
    sync::{Arc, OnceLock, Weak},
};

use redis::{PushKind, Value};
use tokio::time::Instant;

use super::{Connection, subscriptions};
use crate::{
    maintenance::{Announcement, Bulletin, Work},
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

    /// Takes what the server announces, which is meant for no owner of a sink. Tells whether the push was of that kind.
    pub(super) fn take_announcement(&mut self, push: &Value) -> bool {
        let Value::Push { kind, data } = push else {
            return false;
        };
        let PushKind::Other(kind) = kind else {
            return false;
        };
        if !self.announces || !Announcement::is_kind(kind) {
            return false;
        }
        match Announcement::read(kind, data) {
            Some(Announcement::Moving(moving)) => self.tell(|bulletin| {
                bulletin.moving = Some(moving);
                bulletin.moves += 1;
            }),
            Some(Announcement::Begins { work, within }) => {
                let now = Instant::now();
                self.relaxation
                    .works
                    .begins(work, (now + within).into_std(), now.into_std());
                self.note_works(now);
            }
            Some(Announcement::Ended(work)) => {
                let now = Instant::now();
                self.relaxation.works.ends(&work, now.into_std());
                self.note_works(now);
                if work.work == Work::SlotMigration {
                    self.tell(|bulletin| bulletin.slot_moves += 1);
                }
            }
            None => {}
        }
        true
    }

    fn note_works(&mut self, now: Instant) {
        let works = &self.relaxation.works;
        let until = works.until().map(Instant::from_std);
        self.activity.note_works(until);
        let works = works.len();
        self.tell(|bulletin| bulletin.works = works);
        // Whatever waits is looked at in this turn.
        self.timer.arm(now);
    }

    fn tell(&self, change: impl FnOnce(&mut Bulletin)) {
        if let Some(bulletin) = &self.bulletin {
            bulletin.send_modify(change);
        }
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
