//! Arrays, sets, maps, attributes and pushes while their elements arrive.

use redis::{PushKind, Value};

use super::ProtocolError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Array,
    Set,
    Map,
    /// Pairs like a map, and then the value that they describe.
    Attribute,
    Push,
}

impl Shape {
    /// The number of values that follow a header with this `length`, or the value if the header is all of
    /// it.
    pub(super) fn elements(self, length: i64) -> Result<Elements, ProtocolError> {
        let values = match (self, length) {
            (Self::Map | Self::Attribute, ..=-1) => return Err(ProtocolError::NegativeLength),
            (Self::Array | Self::Set, ..=-1) => return Ok(Elements::None(Value::Nil)),
            (Self::Push, ..=0) => {
                let kind = PushKind::Other(String::new());
                return Ok(Elements::None(Value::Push {
                    kind,
                    data: Vec::new(),
                }));
            }
            (Self::Array, 0) => return Ok(Elements::None(Value::Array(Vec::new()))),
            (Self::Set, 0) => return Ok(Elements::None(Value::Set(Vec::new()))),
            (Self::Map, 0) => return Ok(Elements::None(Value::Map(Vec::new()))),
            (Self::Array | Self::Set | Self::Push, length) => length,
            (Self::Map, pairs) => pairs.saturating_mul(2),
            (Self::Attribute, pairs) => pairs.saturating_mul(2).saturating_add(1),
        };
        // A number that does not fit is beyond every limit.
        Ok(Elements::Follow(
            usize::try_from(values).unwrap_or(usize::MAX),
        ))
    }
}

/// The elements after a header.
pub(super) enum Elements {
    None(Value),
    Follow(usize),
}

/// An aggregate that is incomplete.
pub(super) struct Aggregate {
    shape: Shape,
    length: usize,
    items: Vec<Value>,
}

impl Aggregate {
    /// `at_hand` is the number of bytes from which elements can be decoded now.
    pub(super) fn new(shape: Shape, length: usize, at_hand: usize) -> Self {
        // The length is only announced, so memory is reserved for no more elements than the bytes at hand
        // can hold, and up to a bound.
        const MAX_RESERVED: usize = 1024;
        const SMALLEST_ELEMENT: usize = b"_\r\n".len();
        let reserved = length.min(MAX_RESERVED).min(at_hand / SMALLEST_ELEMENT + 1);
        Self {
            shape,
            length,
            items: Vec::with_capacity(reserved),
        }
    }

    /// The number of elements that have not been added.
    pub(super) fn missing(&self) -> usize {
        self.length - self.items.len()
    }

    /// The kind of a push, which is its first element; `None` for other aggregates.
    pub(super) fn push_kind(&self) -> Option<PushKind> {
        let kind = match self.items.first() {
            Some(Value::SimpleString(kind)) => kind.as_str(),
            Some(Value::BulkString(kind)) => str::from_utf8(kind).unwrap_or_default(),
            _ => "",
        };
        (self.shape == Shape::Push).then(|| push_kind(kind.to_owned()))
    }

    /// Whether it is a push, or a part of one.
    pub(super) fn is_push(&self) -> bool {
        self.shape == Shape::Push
    }

    /// Adds an element, and tells whether it was the last.
    pub(super) fn push(&mut self, element: Value) -> bool {
        self.items.push(element);
        self.items.len() == self.length
    }

    pub(super) fn finish(&mut self) -> Result<Value, ProtocolError> {
        let mut items = std::mem::take(&mut self.items);
        Ok(match self.shape {
            Shape::Array => Value::Array(items),
            Shape::Set => Value::Set(items),
            Shape::Map => Value::Map(pairs(items)),
            Shape::Attribute => {
                let data = items
                    .pop()
                    .expect("BUG: an attribute was finished before its value came");
                Value::Attribute {
                    data: Box::new(data),
                    attributes: pairs(items),
                }
            }
            Shape::Push => return push_message(items),
        })
    }
}

fn pairs(items: Vec<Value>) -> Vec<(Value, Value)> {
    let mut pairs = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs
}

fn push_message(items: Vec<Value>) -> Result<Value, ProtocolError> {
    let mut items = items.into_iter();
    let kind = match items.next() {
        Some(Value::SimpleString(kind)) => Some(kind),
        Some(Value::BulkString(kind)) => String::from_utf8(kind).ok(),
        _ => None,
    };
    let kind = kind.ok_or(ProtocolError::Malformed {
        what: "the kind of a push message",
    })?;
    Ok(Value::Push {
        kind: push_kind(kind),
        data: items.collect(),
    })
}

fn push_kind(kind: String) -> PushKind {
    match kind.as_str() {
        "message" => PushKind::Message,
        "pmessage" => PushKind::PMessage,
        "smessage" => PushKind::SMessage,
        "subscribe" => PushKind::Subscribe,
        "psubscribe" => PushKind::PSubscribe,
        "ssubscribe" => PushKind::SSubscribe,
        "unsubscribe" => PushKind::Unsubscribe,
        "punsubscribe" => PushKind::PUnsubscribe,
        "sunsubscribe" => PushKind::SUnsubscribe,
        "invalidate" => PushKind::Invalidate,
        _ => PushKind::Other(kind),
    }
}
