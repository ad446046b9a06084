//! The keys of a database that have changed.

use bytes::Bytes;
use indexmap::IndexMap;

/// Each key once, in the order of its first change. They are noted only while there are clients that wait for keys or
/// watch some: nobody else asks, and a script may change very many.
#[derive(Debug, Default)]
pub(super) struct Changes {
    is_wanted: bool,
    /// Whether the value has changed; if not, only what waiting clients ask about.
    keys: IndexMap<Bytes, bool>,
}

impl Changes {
    pub(super) fn set_wanted(&mut self, is_wanted: bool) {
        self.is_wanted = is_wanted;
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// The value of a key has changed.
    pub(super) fn note(&mut self, key: &Bytes) {
        self.add(key, true);
    }

    /// Clients that wait for a key are to try again, though its value is the same.
    pub(super) fn note_ready(&mut self, key: &Bytes) {
        self.add(key, false);
    }

    fn add(&mut self, key: &Bytes, is_change: bool) {
        if !self.is_wanted {
            return;
        }
        match self.keys.get_mut(key) {
            Some(has_changed) => *has_changed |= is_change,
            None => drop(self.keys.insert(key.clone(), is_change)),
        }
    }

    pub(super) fn take(&mut self) -> IndexMap<Bytes, bool> {
        std::mem::take(&mut self.keys)
    }
}
