//! One numbered database.

use std::{
    collections::BTreeSet,
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

use bytes::Bytes;
use indexmap::{IndexMap, IndexSet};

use super::{Kind, Millis, Value, capacity, changes::Changes, entry::Entry};
use crate::memory::halt::Halt;

/// The estimate of what an entry costs beside the bytes of its key and its value.
const ENTRY_BYTES: usize = 192;

/// Keys in an order that SCAN can follow: a removal moves the last key to the place of the removed one, so
/// a walk from the last key to the first misses none that stays.
#[derive(Debug, Default)]
pub(in crate::memory) struct Database {
    entries: IndexMap<Bytes, Entry>,
    /// Every key with an expiry, the earliest first.
    expiries: BTreeSet<(Millis, Bytes)>,
    /// Every hash with a field that expires, the earliest first.
    field_expiries: BTreeSet<(Millis, Bytes)>,
    bytes: usize,
    last_use: u64,
    /// Uses do not count now.
    ignores_uses: bool,
    now: Millis,
    /// Keys that have changed since they were last taken, for clients that wait for them or watch them.
    changes: Changes,
    /// The number of keys that were removed because their time had come.
    expired: u64,
}

impl Database {
    pub(in crate::memory) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(in crate::memory) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes of a key and its value, with the estimate of what the entry costs beside them.
    pub(in crate::memory) fn bytes_of(&self, key: &[u8]) -> Option<usize> {
        self.entries.get(key).map(|entry| entry.bytes)
    }

    /// The number of keys with an expiry.
    pub(in crate::memory) fn expiring(&self) -> usize {
        self.expiries.len()
    }

    pub(in crate::memory) fn expired(&self) -> u64 {
        self.expired
    }

    pub(in crate::memory) fn contains(&self, key: &[u8]) -> bool {
        self.entries.contains_key(key)
    }

    pub(in crate::memory) fn keys(
        &self,
    ) -> impl DoubleEndedIterator<Item = &Bytes> + ExactSizeIterator {
        self.entries.keys()
    }

    /// The key at a position of the order that SCAN follows, and its value.
    pub(in crate::memory) fn at(&self, position: usize) -> Option<(&Bytes, &Value)> {
        let (key, entry) = self.entries.get_index(position)?;
        Some((key, &entry.value))
    }

    /// The value of a key, whatever its type. It does not count as a use.
    pub(in crate::memory) fn peek(&self, key: &[u8]) -> Option<&Value> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// The value of a key, whatever its type.
    pub(in crate::memory) fn value(&mut self, key: &[u8]) -> Option<&Value> {
        let (last_use, now) = (&mut self.last_use, self.now);
        let entry = self.entries.get_mut(key)?;
        if !self.ignores_uses {
            *last_use += 1;
            (entry.used, entry.used_at) = (*last_use, now);
        }
        Some(&entry.value)
    }

    /// The value of a key that has to be of this type, if the key exists.
    pub(in crate::memory) fn read<T: Kind>(&mut self, key: &[u8]) -> Result<Option<&T>, Halt> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => T::of(value).map(Some).ok_or(Halt::WRONG_TYPE),
        }
    }

    /// The value of a key that has to be of this type, to be changed. A key that does not exist begins
    /// empty; one that is empty in the end is removed. Without [`Edit::touch`] nothing counts as changed.
    pub(in crate::memory) fn edit<T: Kind>(&mut self, key: &Bytes) -> Result<Edit<'_, T>, Halt> {
        let position = match self.read::<T>(key)? {
            Some(_) => self.entries.get_index_of(key).expect(PRESENT),
            None => {
                let entry = self.entry(T::default().into_value());
                self.entries.insert_full(key.clone(), entry).0
            }
        };
        Ok(Edit {
            database: self,
            position,
            is_touched: false,
            wakes: false,
            kind: PhantomData,
        })
    }

    /// Like [`edit`](Self::edit), for a key that has to exist.
    pub(in crate::memory) fn edit_existing<T: Kind>(
        &mut self,
        key: &Bytes,
    ) -> Result<Option<Edit<'_, T>>, Halt> {
        if self.contains(key) {
            self.edit(key).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Gives a key a value, instead of the one that it has, and no expiry. A value that is empty removes it.
    pub(in crate::memory) fn insert(&mut self, key: &Bytes, value: Value) {
        self.set_expiry(key, None);
        self.replace(key, value);
    }

    /// Gives a key a value, and leaves its expiry.
    pub(in crate::memory) fn replace(&mut self, key: &Bytes, value: Value) {
        if value.is_empty() {
            self.remove(key);
            return;
        }
        self.last_use += 1;
        let (used, used_at) = (self.last_use, self.now);
        match self.entries.get_mut(key) {
            Some(entry) => (entry.value, entry.used, entry.used_at) = (value, used, used_at),
            None => {
                let entry = self.entry(value);
                self.entries.insert(key.clone(), entry);
            }
        }
        self.touch(key);
    }

    fn entry(&self, value: Value) -> Entry {
        Entry::new(value, self.last_use, self.now)
    }

    /// Removes a key. Returns its value, and its expiry.
    pub(in crate::memory) fn remove(&mut self, key: &[u8]) -> Option<(Value, Option<Millis>)> {
        let (key, entry) = self.entries.swap_remove_entry(key)?;
        self.bytes -= entry.bytes;
        let expiry = entry.expires_at();
        if let Some(at) = expiry {
            self.expiries.remove(&(at, key.clone()));
        }
        if let Some(at) = entry.field_expires_at() {
            self.field_expiries.remove(&(at, key.clone()));
        }
        self.changes.note(&key);
        capacity::shrink_map(&mut self.entries);
        Some((entry.value, expiry))
    }

    pub(in crate::memory) fn clear(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        entries
            .keys()
            .for_each(|key| self.changes.note_cleared(key));
        self.expiries.clear();
        self.field_expiries.clear();
        self.bytes = 0;
    }

    pub(in crate::memory) fn expiry(&self, key: &[u8]) -> Option<Millis> {
        self.entries.get(key)?.expires_at()
    }

    /// Sets or removes the expiry of a key. It does not count as a change of its value.
    pub(in crate::memory) fn set_expiry(&mut self, key: &Bytes, at: Option<Millis>) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        if let Some(old) = entry.expires_at() {
            self.expiries.remove(&(old, key.clone()));
        }
        entry.set_expiry(at);
        if let Some(at) = at {
            self.expiries.insert((at, key.clone()));
        }
    }

    /// The milliseconds since a key was last used.
    pub(in crate::memory) fn idle(&self, key: &[u8]) -> Option<Millis> {
        let entry = self.entries.get(key)?;
        Some(self.now.saturating_sub(entry.used_at))
    }

    /// A key has changed: clients that watch it notice, and those that wait for it try again.
    pub(in crate::memory) fn touch(&mut self, key: &Bytes) {
        self.count_bytes(key);
        self.changes.note(key);
    }

    fn count_bytes(&mut self, key: &Bytes) {
        if let Some(entry) = self.entries.get_mut(key) {
            let bytes = key.len() + entry.value.bytes() + ENTRY_BYTES;
            self.bytes = self.bytes - entry.bytes + bytes;
            entry.bytes = bytes;
            let at = entry.value.next_field_expiry();
            let old = entry.field_expires_at();
            if old != at {
                entry.set_field_expiry(at);
                self.field_expiries.extend(at.map(|at| (at, key.clone())));
                if let Some(old) = old {
                    self.field_expiries.remove(&(old, key.clone()));
                }
            }
        }
    }

    /// Exchanges the data of two databases. All keys of both count as changed in both, as each of them has come or
    /// gone. What has changed before has changed in the database of that number.
    pub(super) fn swap(&mut self, other: &mut Self) {
        let is_wanted = self.changes.is_wanted() || other.changes.is_wanted();
        let keys = self.keys().chain(other.keys()).filter(|_| is_wanted);
        let keys: Vec<_> = keys.cloned().collect();
        std::mem::swap(self, other);
        std::mem::swap(&mut self.changes, &mut other.changes);
        for key in &keys {
            self.changes.note(key);
            other.changes.note(key);
        }
    }

    /// Whether changes are to be noted from now on.
    pub(in crate::memory) fn want_changes(&mut self, is_wanted: bool) {
        self.changes.set_wanted(is_wanted);
    }

    /// Whether changes are to be noted from now on for clients that track keys.
    pub(in crate::memory) fn track_changes(&mut self, is_tracked: bool) {
        self.changes.set_tracked(is_tracked);
    }

    /// Keys whose values have changed since the last call, for clients that track keys.
    pub(in crate::memory) fn take_tracked(&mut self) -> IndexSet<Bytes> {
        self.changes.take_tracked()
    }

    /// Keys for which clients wait or which they watch, since the last call; and whether their values have changed.
    pub(in crate::memory) fn take_changed(&mut self) -> IndexMap<Bytes, bool> {
        self.changes.take()
    }

    /// Removes the keys and the fields of hashes whose time has come. Later uses are at this time. Tells whether
    /// there were any.
    pub(super) fn expire(&mut self, now: Millis) -> bool {
        self.now = now;
        let mut has_expired = false;
        while let Some((at, key)) = self.expiries.first()
            && *at <= now
        {
            let key = key.clone();
            self.remove(&key);
            self.expired += 1;
            has_expired = true;
        }
        while let Some((at, key)) = self.field_expiries.first()
            && *at <= now
        {
            let key = key.clone();
            self.expire_fields(&key);
            has_expired = true;
        }
        has_expired
    }

    fn expire_fields(&mut self, key: &Bytes) {
        let entry = self.entries.get_mut(key);
        let Some(Value::Hash(hash)) = entry.map(|entry| &mut entry.value) else {
            return;
        };
        hash.expire(self.now);
        if hash.is_empty() {
            self.remove(key);
        } else {
            self.touch(key);
        }
    }

    /// The time at which the next key expires, or the next field of a hash.
    pub(super) fn next_expiry(&self) -> Option<Millis> {
        let next = [self.expiries.first(), self.field_expiries.first()];
        next.into_iter().flatten().map(|(at, _)| *at).min()
    }

    /// The number of the last use, in the order of uses.
    pub(super) fn last_use(&self) -> u64 {
        self.last_use
    }

    /// Later uses than this are to have greater numbers.
    pub(super) fn set_last_use(&mut self, last_use: u64) {
        self.last_use = last_use;
    }

    pub(super) fn set_ignores_uses(&mut self, ignores_uses: bool) {
        self.ignores_uses = ignores_uses;
    }

    /// The key at a position, after the number of its last use.
    pub(super) fn use_at(&self, position: usize) -> Option<(u64, &Bytes)> {
        let (key, entry) = self.entries.get_index(position)?;
        Some((entry.used, key))
    }

    /// Holds every count and index against the keys themselves.
    #[cfg(test)]
    pub(super) fn check_counts(&self) {
        let mut bytes = 0;
        let (mut expiries, mut field_expiries) = (BTreeSet::new(), BTreeSet::new());
        for (key, entry) in &self.entries {
            entry.value.check_counts();
            assert!(!entry.value.is_empty(), "{key:?}");
            let counted = key.len() + entry.value.bytes() + ENTRY_BYTES;
            assert_eq!(entry.bytes, counted, "{key:?}");
            bytes += counted;
            expiries.extend(entry.expires_at().map(|at| (at, key.clone())));
            let next = entry.value.next_field_expiry();
            field_expiries.extend(next.map(|at| (at, key.clone())));
        }
        assert_eq!(self.bytes, bytes);
        assert_eq!(self.expiries, expiries);
        assert_eq!(self.field_expiries, field_expiries);
    }

    /// The key that expires next.
    pub(in crate::memory) fn next_to_expire(&self) -> Option<(Millis, &Bytes)> {
        self.expiries.first().map(|(at, key)| (*at, key))
    }
}

/// A value that is being changed.
pub(in crate::memory) struct Edit<'a, T: Kind> {
    database: &'a mut Database,
    position: usize,
    is_touched: bool,
    wakes: bool,
    kind: PhantomData<T>,
}

impl<T: Kind> Edit<'_, T> {
    /// The value has changed.
    pub(in crate::memory) fn touch(&mut self) {
        self.is_touched = true;
    }

    /// The value is the same, but clients that wait for it are to try again.
    pub(in crate::memory) fn wake(&mut self) {
        self.wakes = true;
    }
}

const PRESENT: &str = "BUG: an edited key is gone, or of another type";

impl<T: Kind> Deref for Edit<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        let at = self.database.at(self.position);
        at.and_then(|(_, value)| T::of(value)).expect(PRESENT)
    }
}

impl<T: Kind> DerefMut for Edit<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        let at = self.database.entries.get_index_mut(self.position);
        at.and_then(|(_, entry)| T::of_mut(&mut entry.value))
            .expect(PRESENT)
    }
}

impl<T: Kind> Drop for Edit<'_, T> {
    fn drop(&mut self) {
        let Some((key, value)) = self.database.at(self.position) else {
            return;
        };
        let (key, is_empty) = (key.clone(), value.is_empty());
        match (is_empty, self.is_touched) {
            (true, true) => drop(self.database.remove(&key)),
            // It did not exist before either.
            (true, false) => drop(self.database.entries.swap_remove(&key)),
            (false, true) => self.database.touch(&key),
            // Groups of a stream change without a change of the stream.
            (false, false) => {
                self.database.count_bytes(&key);
                if self.wakes {
                    self.database.changes.note_ready(&key);
                }
            }
        }
    }
}
