//! What comes over a connection with subscriptions.

use bytes::Bytes;
use redis::{PushKind, ServerError, Value};

use crate::{
    events::Topic,
    net::{close::CloseReason, connection::push_kind},
};

/// A message or an answer. Messages and confirmations are pushes in RESP3, and arrays in RESP2.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    Message {
        /// What was subscribed.
        topic: Topic,
        channel: Bytes,
        payload: Bytes,
    },
    Subscribed(Topic),
    /// Also without having been asked, as for a sharded channel that moves to another node.
    Unsubscribed(Topic),
    Refused(ServerError),
    /// The answer to any other command.
    Answer,
    /// A push that has nothing to do with subscriptions.
    Nothing,
}

impl Heard {
    pub(super) fn of(value: Value) -> Result<Self, CloseReason> {
        match value {
            Value::Push { kind, data } => Self::of_push(&kind, data),
            Value::Array(mut items) => match push_kind(&items) {
                Some(kind) => {
                    items.remove(0);
                    Self::of_push(&kind, items)
                }
                // `pong` is the answer to PING of a RESP2 connection with subscriptions.
                None => Ok(Self::Answer),
            },
            Value::ServerError(error) => Ok(Self::Refused(error)),
            _ => Ok(Self::Answer),
        }
    }

    fn of_push(kind: &PushKind, data: Vec<Value>) -> Result<Self, CloseReason> {
        let mut data = data.into_iter().map(|item| match item {
            Value::BulkString(bytes) => Some(Bytes::from(bytes)),
            Value::SimpleString(text) => Some(Bytes::from(text)),
            _ => None,
        });
        let mut next = || data.next().flatten().ok_or_else(super::malformed);
        Ok(match kind {
            PushKind::Message => {
                let channel = next()?;
                Self::Message {
                    topic: Topic::Channel(channel.clone()),
                    channel,
                    payload: next()?,
                }
            }
            PushKind::SMessage => {
                let channel = next()?;
                Self::Message {
                    topic: Topic::ShardChannel(channel.clone()),
                    channel,
                    payload: next()?,
                }
            }
            PushKind::PMessage => Self::Message {
                topic: Topic::Pattern(next()?),
                channel: next()?,
                payload: next()?,
            },
            PushKind::Subscribe => Self::Subscribed(Topic::Channel(next()?)),
            PushKind::PSubscribe => Self::Subscribed(Topic::Pattern(next()?)),
            PushKind::SSubscribe => Self::Subscribed(Topic::ShardChannel(next()?)),
            PushKind::Unsubscribe => Self::Unsubscribed(Topic::Channel(next()?)),
            PushKind::PUnsubscribe => Self::Unsubscribed(Topic::Pattern(next()?)),
            PushKind::SUnsubscribe => Self::Unsubscribed(Topic::ShardChannel(next()?)),
            _ => Self::Nothing,
        })
    }
}
