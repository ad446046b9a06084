//! Hashes.

use std::collections::BTreeSet;

use bytes::Bytes;
use indexmap::IndexMap;

use super::{Millis, capacity};

/// The estimate of what a field costs beside its name and its value.
const FIELD_BYTES: usize = 88;

/// The estimate of what an expiry of a field costs.
const EXPIRY_BYTES: usize = 56;

/// Fields in an order that HSCAN can follow: a removal moves later fields to an earlier position, so a walk
/// from the last field to the first misses none that stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::memory) struct Hash {
    fields: IndexMap<Bytes, Field>,
    /// Every field with an expiry, the earliest first.
    expiries: BTreeSet<(Millis, Bytes)>,
    bytes: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Field {
    value: Bytes,
    expires_at: Option<Millis>,
}

impl Hash {
    pub(in crate::memory) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(in crate::memory) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether Redis, by its default settings, holds as many fields in one block, in the order in which they
    /// were added.
    pub(in crate::memory) fn is_small(&self) -> bool {
        const SMALL: usize = 512;
        self.len() <= SMALL
    }

    pub(in crate::memory) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(in crate::memory) fn contains(&self, field: &[u8]) -> bool {
        self.fields.contains_key(field)
    }

    pub(in crate::memory) fn get(&self, field: &[u8]) -> Option<&Bytes> {
        self.fields.get(field).map(|field| &field.value)
    }

    /// All fields with their values.
    pub(in crate::memory) fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.fields.iter().map(|(name, field)| (name, &field.value))
    }

    /// The field at a position of the order that HSCAN follows, and its value.
    pub(in crate::memory) fn at(&self, position: usize) -> Option<(&Bytes, &Bytes)> {
        let (name, field) = self.fields.get_index(position)?;
        Some((name, &field.value))
    }

    /// Gives a field a value, and no expiry. Tells whether the field is new.
    pub(in crate::memory) fn insert(&mut self, name: &Bytes, value: Bytes) -> bool {
        self.set_expiry(name, None);
        self.replace(name, value)
    }

    /// Gives a field a value, and leaves its expiry. Tells whether the field is new.
    pub(in crate::memory) fn replace(&mut self, name: &Bytes, value: Bytes) -> bool {
        self.bytes += value.len();
        if let Some(field) = self.fields.get_mut(name) {
            self.bytes -= field.value.len();
            field.value = value;
            return false;
        }
        self.bytes += name.len() + FIELD_BYTES;
        let field = Field {
            value,
            expires_at: None,
        };
        self.fields.insert(name.clone(), field);
        true
    }

    /// Removes a field. Returns its value.
    pub(in crate::memory) fn remove(&mut self, name: &[u8]) -> Option<Bytes> {
        let removed = if self.is_small() {
            self.fields.shift_remove_entry(name)
        } else {
            self.fields.swap_remove_entry(name)
        };
        let (name, field) = removed?;
        capacity::shrink_map(&mut self.fields);
        self.bytes -= name.len() + field.value.len() + FIELD_BYTES;
        if let Some(at) = field.expires_at {
            self.forget_expiry(at, name);
        }
        Some(field.value)
    }

    pub(in crate::memory) fn expiry(&self, name: &[u8]) -> Option<Millis> {
        self.fields.get(name)?.expires_at
    }

    /// Sets or removes the expiry of a field.
    pub(in crate::memory) fn set_expiry(&mut self, name: &Bytes, at: Option<Millis>) {
        let Some(field) = self.fields.get_mut(name) else {
            return;
        };
        if let Some(old) = std::mem::replace(&mut field.expires_at, at) {
            self.forget_expiry(old, name.clone());
        }
        if let Some(at) = at {
            self.expiries.insert((at, name.clone()));
            self.bytes += EXPIRY_BYTES;
        }
    }

    fn forget_expiry(&mut self, at: Millis, name: Bytes) {
        self.expiries.remove(&(at, name));
        self.bytes -= EXPIRY_BYTES;
    }

    /// The time at which the next field expires.
    pub(super) fn next_expiry(&self) -> Option<Millis> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Removes the fields whose time has come.
    pub(super) fn expire(&mut self, now: Millis) {
        while let Some((at, name)) = self.expiries.first()
            && *at <= now
        {
            let name = name.clone();
            self.remove(&name);
        }
    }

    #[cfg(test)]
    pub(super) fn check_counts(&self) {
        let fields = self.fields.iter();
        let bytes = fields.map(|(name, field)| name.len() + field.value.len() + FIELD_BYTES);
        let bytes = bytes.sum::<usize>() + self.expiries.len() * EXPIRY_BYTES;
        assert_eq!(self.bytes, bytes);
        let expiries = self.fields.iter();
        let expiries = expiries.filter_map(|(name, field)| Some((field.expires_at?, name.clone())));
        assert_eq!(self.expiries, expiries.collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_hash_has_no_bytes() {
        let mut hash = Hash::default();
        let names: Vec<Bytes> = (0..600).map(|n: i32| n.to_string().into()).collect();
        for (n, name) in names.iter().enumerate() {
            assert!(hash.insert(name, "value".into()));
            hash.set_expiry(name, Some(n as Millis % 7));
        }
        for name in names.iter().step_by(2) {
            assert!(!hash.replace(name, "longer value".into()));
        }
        for name in names.iter().step_by(3) {
            assert!(!hash.insert(name, "".into()));
            assert_eq!(hash.expiry(name), None);
        }
        assert_eq!(hash.next_expiry(), Some(0));
        hash.expire(3);
        assert_eq!(hash.next_expiry(), Some(4));
        for name in &names {
            hash.remove(name);
        }
        assert_eq!((hash.len(), hash.bytes(), hash.next_expiry()), (0, 0, None));
    }
}
