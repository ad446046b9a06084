//! An entry of a stream, as a handler gets it.

use std::{fmt, str, sync::Arc};

use crate::policy::consumer::EntryId;

/// An entry of a stream, which a [`Consumer`](crate::Consumer) gives to its handler. Clones share its fields.
///
/// `Debug` shows no value, since a value may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamEntry {
    id: EntryId,
    deliveries: u64,
    fields: Arc<[Field]>,
}

/// A name and a value.
pub(super) type Field = (Vec<u8>, Vec<u8>);

impl StreamEntry {
    pub(super) fn new(id: EntryId, deliveries: u64, fields: Vec<Field>) -> Self {
        Self {
            id,
            deliveries,
            fields: fields.into(),
        }
    }

    /// The id, such as `1700000000000-0`.
    pub fn id(&self) -> String {
        self.id.to_string()
    }

    /// How often the entry was delivered to a consumer of the group, this time included. Above 1, it may have been
    /// handled before.
    pub fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// The value of the first field of this name.
    pub fn bytes(&self, field: &str) -> Option<&[u8]> {
        self.fields()
            .find(|(name, _)| *name == field.as_bytes())
            .map(|(_, value)| value)
    }

    /// The value of the first field of this name, if it is UTF-8.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.bytes(field)
            .and_then(|value| str::from_utf8(value).ok())
    }

    /// All fields with their values, in the order in which they were added. A name may be there several times.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl fmt::Debug for StreamEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamEntry")
            .field("id", &self.id())
            .field("deliveries", &self.deliveries)
            .field("fields", &self.fields.len())
            .finish_non_exhaustive()
    }
}
