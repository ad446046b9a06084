//! The nodes of a stream: runs of entries, as large as those of Redis. An approximate trim removes whole nodes.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Id, pack};

#[derive(Clone, Debug, PartialEq)]
pub(in crate::memory) struct Entry {
    pub(in crate::memory) id: Id,
    /// Names and values by turns.
    pub(in crate::memory) fields: Vec<Bytes>,
}

impl Entry {
    /// The estimate of what an entry costs beside the bytes of its fields.
    const BYTES: usize = 40;

    /// The estimate of what a field costs beside its bytes.
    const FIELD_BYTES: usize = 32;

    /// Bytes of its fields alone.
    pub(super) fn payload(&self) -> usize {
        self.fields.iter().map(Bytes::len).sum()
    }

    pub(super) fn bytes(&self) -> usize {
        Self::BYTES + self.fields.len() * Self::FIELD_BYTES + self.payload()
    }

    fn names(&self) -> impl ExactSizeIterator<Item = &Bytes> {
        self.fields.iter().step_by(2)
    }

    fn values(&self) -> impl Iterator<Item = &Bytes> {
        self.fields.iter().skip(1).step_by(2)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// In the order of their ids. There is at least one.
    pub(super) entries: VecDeque<Entry>,
    /// The number of entries that were removed.
    removed: usize,
    /// The id and the field names of the entry that it began with. Redis stores others as differences from it.
    base: Id,
    names: Vec<Bytes>,
    /// Bytes that its listpack has in Redis.
    packed: usize,
}

impl Node {
    const MAX_ENTRIES: usize = 100;
    const MAX_BYTES: usize = 4096;

    pub(super) fn new(entry: Entry) -> Self {
        const EMPTY: usize = 7;
        // The number of entries, of removed ones, and of names; the names; the end of the first entry.
        let names: Vec<Bytes> = entry.names().cloned().collect();
        let count = pack::integer(names.len() as i64);
        let head = 3 * pack::integer(0) + count;
        let mut node = Self {
            entries: VecDeque::new(),
            removed: 0,
            base: entry.id,
            packed: EMPTY + head + names.iter().map(|name| pack::text(name)).sum::<usize>(),
            names,
        };
        node.push(entry);
        node
    }

    pub(super) fn first(&self) -> Id {
        self.entries.front().map_or(self.base, |entry| entry.id)
    }

    pub(super) fn last(&self) -> Id {
        self.entries.back().map_or(self.base, |entry| entry.id)
    }

    /// Whether an entry still goes into this node.
    pub(super) fn has_room(&self, entry: &Entry) -> bool {
        self.packed + entry.payload() < Self::MAX_BYTES
            && self.entries.len() + self.removed < Self::MAX_ENTRIES
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.packed += self.packed_size(&entry);
        self.entries.push_back(entry);
    }

    fn packed_size(&self, entry: &Entry) -> usize {
        let difference = |one: u64, other: u64| pack::integer(one.wrapping_sub(other) as i64);
        let flags = pack::integer(0);
        let id = difference(entry.id.millis, self.base.millis)
            + difference(entry.id.sequence, self.base.sequence);
        let count = entry.fields.len() as i64 / 2;
        let values: usize = entry.values().map(|value| pack::text(value)).sum();
        let is_alike = entry.names().eq(self.names.iter());
        let rest = if is_alike {
            pack::integer(count + 3)
        } else {
            let names: usize = entry.names().map(|name| pack::text(name)).sum();
            pack::integer(count) + names + pack::integer(2 * count + 4)
        };
        flags + id + values + rest
    }

    /// Removes the entry at a position.
    pub(super) fn remove(&mut self, position: usize) -> Option<Entry> {
        let entry = self.entries.remove(position)?;
        self.removed += 1;
        Some(entry)
    }
}
