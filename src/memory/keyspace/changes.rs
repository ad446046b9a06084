//! The keys of a database that have changed.

use bytes::Bytes;
use indexmap::IndexSet;

/// Each key once, in the order of its first change. They are noted only while there are clients that wait for keys or
/// watch some: nobody else asks, and a script may change very many.
#[derive(Debug, Default)]
pub(super) struct Changes {
    is_wanted: bool,
    keys: IndexSet<Bytes>,
}

impl Changes {
    pub(super) fn set_wanted(&mut self, is_wanted: bool) {
        self.is_wanted = is_wanted;
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    pub(super) fn note(&mut self, key: &Bytes) {
        if self.is_wanted && !self.keys.contains(key) {
            self.keys.insert(key.clone());
        }
    }

    pub(super) fn take(&mut self) -> IndexSet<Bytes> {
        std::mem::take(&mut self.keys)
    }
}
