//! The value of a key.

use bytes::Bytes;

use super::{Hash, List, Millis, Set, SortedSet, Stream};

/// Collections are in a box, so that strings, of which there are most, do not take their place.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::memory) enum Value {
    String(Bytes),
    List(Box<List>),
    Hash(Box<Hash>),
    Set(Box<Set>),
    SortedSet(Box<SortedSet>),
    Stream(Box<Stream>),
}

impl Value {
    /// The name that TYPE gives.
    pub(in crate::memory) fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::List(_) => "list",
            Self::Hash(_) => "hash",
            Self::Set(_) => "set",
            Self::SortedSet(_) => "zset",
            Self::Stream(_) => "stream",
        }
    }

    pub(in crate::memory) fn bytes(&self) -> usize {
        match self {
            Self::String(bytes) => bytes.len(),
            Self::List(list) => list.bytes(),
            Self::Hash(hash) => hash.bytes(),
            Self::Set(set) => set.bytes(),
            Self::SortedSet(set) => set.bytes(),
            Self::Stream(stream) => stream.bytes(),
        }
    }

    #[cfg(test)]
    pub(super) fn check_counts(&self) {
        match self {
            Self::String(_) => {}
            Self::List(list) => list.check_counts(),
            Self::Hash(hash) => hash.check_counts(),
            Self::Set(set) => set.check_counts(),
            Self::SortedSet(set) => set.check_counts(),
            Self::Stream(stream) => stream.check_counts(),
        }
    }

    /// The time at which the next field of a hash expires.
    pub(super) fn next_field_expiry(&self) -> Option<Millis> {
        match self {
            Self::Hash(hash) => hash.next_expiry(),
            _ => None,
        }
    }

    /// A key with an empty value does not exist. An empty string is a value, and so is an empty stream.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::String(_) | Self::Stream(_) => false,
            Self::List(list) => list.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
            Self::Set(set) => set.is_empty(),
            Self::SortedSet(set) => set.is_empty(),
        }
    }
}

/// A type of values.
pub(in crate::memory) trait Kind: Default {
    fn of(value: &Value) -> Option<&Self>;
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    fn into_value(self) -> Value;
}

impl Kind for Bytes {
    fn of(value: &Value) -> Option<&Self> {
        match value {
            Value::String(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        match value {
            Value::String(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        Value::String(self)
    }
}

macro_rules! collections {
    ($($kind:ident),*) => {$(
        impl Kind for $kind {
            fn of(value: &Value) -> Option<&Self> {
                match value {
                    Value::$kind(inner) => Some(&**inner),
                    _ => None,
                }
            }

            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                match value {
                    Value::$kind(inner) => Some(&mut **inner),
                    _ => None,
                }
            }

            fn into_value(self) -> Value {
                Value::$kind(Box::new(self))
            }
        }
    )*};
}

collections!(List, Hash, Set, SortedSet, Stream);
