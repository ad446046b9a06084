//! Values as tests and people look at them.

use std::collections::{BTreeMap, BTreeSet};

use super::keyspace::{Id, Value};

/// The value of a key of a [`MemoryServer`](crate::MemoryServer).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MemoryValue {
    /// A string, also one that holds a counter, bits or a HyperLogLog.
    String(Vec<u8>),
    /// The elements from the left to the right.
    List(Vec<Vec<u8>>),
    /// Values by field.
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    /// The members.
    Set(BTreeSet<Vec<u8>>),
    /// Members with their scores, the lowest first.
    SortedSet(Vec<(Vec<u8>, f64)>),
    /// Entries in the order of their ids.
    Stream(Vec<MemoryEntry>),
}

/// An entry of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryEntry {
    /// Such as `1718000000000-0`.
    pub id: String,
    /// Fields and values, in their order.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl MemoryValue {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::String(bytes) => Self::String(bytes.to_vec()),
            Value::List(list) => Self::List(list.iter().map(|item| item.to_vec()).collect()),
            Value::Hash(hash) => {
                let fields = hash.iter();
                Self::Hash(
                    fields
                        .map(|(field, value)| (field.to_vec(), value.to_vec()))
                        .collect(),
                )
            }
            Value::Set(set) => Self::Set(set.iter().map(|member| member.to_vec()).collect()),
            Value::SortedSet(set) => {
                let members = set.iter();
                let pairs = members.map(|(score, member)| (member.to_vec(), *score));
                Self::SortedSet(pairs.collect())
            }
            Value::Stream(stream) => {
                let entries = stream.after(Id::MIN).map(|entry| {
                    let fields = entry.fields.chunks_exact(2);
                    let fields = fields.map(|pair| (pair[0].to_vec(), pair[1].to_vec()));
                    MemoryEntry {
                        id: entry.id.to_string(),
                        fields: fields.collect(),
                    }
                });
                Self::Stream(entries.collect())
            }
        }
    }
}
