//! The log of refusals: ACL LOG.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::memory::keyspace::Millis;

/// As in Redis by default.
const MOST: usize = 128;
/// Equal refusals within this time are one entry, if it is among the latest ones.
const TOGETHER: Millis = 60_000;
const LATEST: usize = 10;

#[derive(Clone, Debug)]
pub(in crate::memory) struct Entry {
    pub(in crate::memory) count: i64,
    /// `auth`, `command`, `key` or `channel`.
    pub(in crate::memory) reason: &'static str,
    /// `toplevel`, `multi` or `lua`.
    pub(in crate::memory) context: &'static str,
    pub(in crate::memory) object: Bytes,
    pub(in crate::memory) user: Bytes,
    /// The client, as CLIENT LIST shows it.
    pub(in crate::memory) client: String,
    pub(in crate::memory) id: i64,
    pub(in crate::memory) created_at: Millis,
    pub(in crate::memory) updated_at: Millis,
}

#[derive(Debug, Default)]
pub(in crate::memory) struct Log {
    /// The latest one first.
    entries: VecDeque<Entry>,
    next_id: i64,
}

impl Log {
    /// Adds an entry, whose count, number and first time are set here.
    pub(in crate::memory) fn add(&mut self, mut entry: Entry) {
        let same = self.entries.iter().take(LATEST).position(|earlier| {
            earlier.reason == entry.reason
                && earlier.context == entry.context
                && earlier.object == entry.object
                && earlier.user == entry.user
                && entry.updated_at.saturating_sub(earlier.updated_at) <= TOGETHER
        });
        match same.and_then(|at| self.entries.remove(at)) {
            Some(earlier) => {
                entry.count = earlier.count + 1;
                entry.id = earlier.id;
                entry.created_at = earlier.created_at;
            }
            None => {
                entry.id = self.next_id;
                self.next_id += 1;
            }
        }
        self.entries.push_front(entry);
        self.entries.truncate(MOST);
    }

    pub(in crate::memory) fn latest(&self, most: usize) -> impl Iterator<Item = &Entry> {
        self.entries.iter().take(most)
    }

    pub(in crate::memory) fn clear(&mut self) {
        self.entries.clear();
    }
}
