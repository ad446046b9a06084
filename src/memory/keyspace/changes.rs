//! The keys of a database that have changed.

use bytes::Bytes;
use indexmap::{IndexMap, IndexSet};

/// Each key once, in the order of its first change. They are noted only while there are clients that wait for keys or
/// watch some: nobody else asks, and a script may change very many.
#[derive(Debug, Default)]
pub(super) struct Changes {
    is_wanted: bool,
    /// Whether the value has changed; if not, only what waiting clients ask about.
    keys: IndexMap<Bytes, bool>,
    /// Whether there are clients that track keys.
    is_tracked: bool,
    /// The keys whose values have changed, for these clients. They are told after each command.
    tracked: IndexSet<Bytes>,
}

impl Changes {
    pub(super) fn set_wanted(&mut self, is_wanted: bool) {
        self.is_wanted = is_wanted;
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted || self.is_tracked
    }

    pub(super) fn set_tracked(&mut self, is_tracked: bool) {
        self.is_tracked = is_tracked;
        if !is_tracked {
            self.tracked.clear();
        }
    }

    /// The value of a key has changed.
    pub(super) fn note(&mut self, key: &Bytes) {
        self.add(key, true);
        if self.is_tracked && !self.tracked.contains(key) {
            self.tracked.insert(key.clone());
        }
    }

    /// The same for a key that goes with all others, which clients that track are told at once.
    pub(super) fn note_cleared(&mut self, key: &Bytes) {
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

    pub(super) fn take_tracked(&mut self) -> IndexSet<Bytes> {
        std::mem::take(&mut self.tracked)
    }

    pub(super) fn take(&mut self) -> IndexMap<Bytes, bool> {
        std::mem::take(&mut self.keys)
    }
}
