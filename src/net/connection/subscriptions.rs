//! The subscriptions of a connection that speaks RESP2, where messages look like replies.

use redis::{PushKind, Value};

use crate::net::confirmation::Confirmation;

/// The channels and patterns, and apart from them the shard channels, that confirmations have counted.
///
/// While there are any, a server before RESP3 runs next to nothing else, so no reply can be taken for a
/// message. In RESP3 messages are pushes, and this stays empty.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    channels: i64,
    shard_channels: i64,
}

impl Subscriptions {
    pub(crate) fn is_empty(&self) -> bool {
        self.channels == 0 && self.shard_channels == 0
    }

    /// Counts a confirmation. A reset of the connection ends all subscriptions.
    pub(crate) fn note(&mut self, value: &Value) {
        match value {
            Value::Array(items) => {
                let (Some(kind), Some(Value::Int(count))) = (kind(items), items.get(2)) else {
                    return;
                };
                match kind {
                    PushKind::SSubscribe | PushKind::SUnsubscribe => self.shard_channels = *count,
                    kind if Confirmation::of(&kind).is_some() => self.channels = *count,
                    _ => {}
                }
            }
            Value::SimpleString(text) if text == "RESET" => *self = Self::default(),
            _ => {}
        }
    }
}

/// The kind of push that an array would be in RESP3; `None` if it is a reply.
pub(crate) fn kind(items: &[Value]) -> Option<PushKind> {
    let Some(Value::BulkString(name)) = items.first() else {
        return None;
    };
    Some(match name.as_slice() {
        b"message" => PushKind::Message,
        b"pmessage" => PushKind::PMessage,
        b"smessage" => PushKind::SMessage,
        b"subscribe" => PushKind::Subscribe,
        b"psubscribe" => PushKind::PSubscribe,
        b"ssubscribe" => PushKind::SSubscribe,
        b"unsubscribe" => PushKind::Unsubscribe,
        b"punsubscribe" => PushKind::PUnsubscribe,
        b"sunsubscribe" => PushKind::SUnsubscribe,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confirmation(kind: &str, count: i64) -> Value {
        let text = |text: &str| Value::BulkString(text.into());
        Value::Array(vec![text(kind), text("channel"), Value::Int(count)])
    }

    #[test]
    fn subscriptions_end_with_the_last_channel_of_each_kind_or_a_reset() {
        let reset = Value::SimpleString("RESET".into());
        for (replies, is_empty) in [
            (vec![confirmation("subscribe", 1)], false),
            (
                vec![confirmation("subscribe", 1), confirmation("unsubscribe", 0)],
                true,
            ),
            (
                vec![
                    confirmation("psubscribe", 2),
                    confirmation("punsubscribe", 1),
                ],
                false,
            ),
            (
                vec![
                    confirmation("ssubscribe", 1),
                    confirmation("unsubscribe", 0),
                ],
                false,
            ),
            (vec![confirmation("ssubscribe", 1), reset], true),
            (vec![confirmation("message", 1)], true),
        ] {
            let mut subscriptions = Subscriptions::default();
            replies.iter().for_each(|reply| subscriptions.note(reply));
            assert_eq!(subscriptions.is_empty(), is_empty, "{replies:?}");
        }
    }
}
