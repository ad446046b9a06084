//! A key's value, and what is known about it.

use std::num::NonZero;

use super::{Millis, Value};

/// There is one per key, so it is to be small: a time that is none takes no place.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) value: Value,
    expires_at: Option<NonZero<Millis>>,
    field_expires_at: Option<NonZero<Millis>>,
    /// The number of the last use, in the order of uses, for the eviction of the least recently used.
    pub(super) used: u64,
    /// The time of the last use, for OBJECT IDLETIME.
    pub(super) used_at: Millis,
    /// Bytes of key and value when they were last counted.
    pub(super) bytes: usize,
}

impl Entry {
    pub(super) fn new(value: Value, used: u64, used_at: Millis) -> Self {
        Self {
            value,
            expires_at: None,
            field_expires_at: None,
            used,
            used_at,
            bytes: 0,
        }
    }

    pub(super) fn expires_at(&self) -> Option<Millis> {
        self.expires_at.map(NonZero::get)
    }

    pub(super) fn set_expiry(&mut self, at: Option<Millis>) {
        self.expires_at = at.map(not_zero);
    }

    /// The time at which the next field of a hash expires, when it was last looked up.
    pub(super) fn field_expires_at(&self) -> Option<Millis> {
        self.field_expires_at.map(NonZero::get)
    }

    pub(super) fn set_field_expiry(&mut self, at: Option<Millis>) {
        self.field_expires_at = at.map(not_zero);
    }
}

/// The very first millisecond of the epoch is as long ago as the second.
fn not_zero(at: Millis) -> NonZero<Millis> {
    NonZero::new(at).unwrap_or(NonZero::<Millis>::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Entry>(), 80);
    }
}
