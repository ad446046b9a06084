//! Streams: entries in the order of their ids, and groups of consumers.

mod group;
mod id;
mod node;
mod pack;

use std::{
    collections::{BTreeMap, VecDeque},
    ops::{Deref, DerefMut},
};

use bytes::Bytes;

pub(in crate::memory) use group::{Consumer, Group, Pending};
pub(in crate::memory) use id::Id;
pub(in crate::memory) use node::Entry;

use super::Millis;
use node::Node;

/// The estimate of what a group costs beside its name and what is in it.
const GROUP_BYTES: usize = 128;

#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::memory) struct Stream {
    nodes: VecDeque<Node>,
    length: usize,
    /// The greatest id that an entry ever had, or that was set.
    pub(in crate::memory) last_id: Id,
    /// The greatest id of an entry that XDEL has removed.
    pub(in crate::memory) max_deleted: Id,
    /// The number of entries that were ever added.
    pub(in crate::memory) added: i64,
    groups: BTreeMap<Bytes, Group>,
    /// Bytes of the entries, and of the groups.
    bytes: usize,
}

/// A group that is being changed. Its bytes are counted again in the end.
pub(in crate::memory) struct EditGroup<'a> {
    group: &'a mut Group,
    bytes: &'a mut usize,
}

impl Deref for EditGroup<'_> {
    type Target = Group;

    fn deref(&self) -> &Group {
        self.group
    }
}

impl DerefMut for EditGroup<'_> {
    fn deref_mut(&mut self) -> &mut Group {
        self.group
    }
}

impl Drop for EditGroup<'_> {
    fn drop(&mut self) {
        *self.bytes += self.group.bytes();
    }
}

/// The entries that a trim removes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::memory) enum Bound {
    /// All but so many of the last.
    Length(u64),
    /// Those with smaller ids.
    Id(Id),
}

/// Options of a trim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::memory) struct Trim {
    pub(in crate::memory) bound: Bound,
    /// Only whole nodes are removed.
    pub(in crate::memory) is_approximate: bool,
    /// The greatest number of entries to remove; 0 is no limit.
    pub(in crate::memory) limit: u64,
}

impl Stream {
    pub(in crate::memory) fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn check_counts(&self) {
        let entries = self.nodes.iter().flat_map(|node| &node.entries);
        assert_eq!(self.length, entries.clone().count());
        let groups = self.groups.iter();
        let groups = groups.map(|(name, group)| name.len() + GROUP_BYTES + group.bytes());
        let bytes = entries.clone().map(Entry::bytes).sum::<usize>() + groups.sum::<usize>();
        assert_eq!(self.bytes, bytes);
        assert!(entries.is_sorted_by_key(|entry| entry.id));
        self.groups.values().for_each(Group::check_counts);
    }

    pub(in crate::memory) fn len(&self) -> usize {
        self.length
    }

    /// The number of nodes that it has in Redis.
    pub(in crate::memory) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    pub(in crate::memory) fn first(&self) -> Option<&Entry> {
        self.nodes.front()?.entries.front()
    }

    pub(in crate::memory) fn last(&self) -> Option<&Entry> {
        self.nodes.back()?.entries.back()
    }

    /// The id of the first entry; the least one if there is none.
    pub(in crate::memory) fn first_id(&self) -> Id {
        self.first().map_or(Id::MIN, |entry| entry.id)
    }

    /// Entries with ids from `start` up to and with `end`.
    pub(in crate::memory) fn range(
        &self,
        start: Id,
        end: Id,
    ) -> impl DoubleEndedIterator<Item = &Entry> {
        let from = self.nodes.partition_point(|node| node.last() < start);
        let to = self.nodes.partition_point(|node| node.first() <= end);
        self.nodes.range(from..to.max(from)).flat_map(move |node| {
            let from = node.entries.partition_point(|entry| entry.id < start);
            let to = node.entries.partition_point(|entry| entry.id <= end);
            node.entries.range(from..to.max(from))
        })
    }

    /// Entries with greater ids.
    pub(in crate::memory) fn after(&self, id: Id) -> impl DoubleEndedIterator<Item = &Entry> {
        // Nothing is greater than the greatest id.
        let start = id.next();
        let end = start.map_or(Id::MIN, |_| Id::MAX);
        self.range(start.unwrap_or(Id::MAX), end)
    }

    pub(in crate::memory) fn get(&self, id: Id) -> Option<&Entry> {
        self.range(id, id).next()
    }

    /// The id that an entry gets at this time. It grows, even if the clock does not.
    pub(in crate::memory) fn next_id(&self, now: Millis) -> Option<Id> {
        if now > self.last_id.millis {
            Some(Id::new(now, 0))
        } else {
            self.last_id.next()
        }
    }

    /// Adds an entry, whose id is greater than the last one.
    pub(in crate::memory) fn append(&mut self, entry: Entry) {
        self.last_id = entry.id;
        self.added = self.added.wrapping_add(1);
        self.length += 1;
        self.bytes += entry.bytes();
        match self.nodes.back_mut() {
            Some(node) if node.has_room(&entry) => node.push(entry),
            _ => self.nodes.push_back(Node::new(entry)),
        }
    }

    /// Removes an entry by request of a client. Tells whether there was one.
    pub(in crate::memory) fn delete(&mut self, id: Id) -> bool {
        let number = self.nodes.partition_point(|node| node.last() < id);
        let Some(node) = self.nodes.get(number) else {
            return false;
        };
        let Ok(position) = node.entries.binary_search_by_key(&id, |entry| entry.id) else {
            return false;
        };
        self.remove(number, position);
        self.max_deleted = self.max_deleted.max(id);
        true
    }

    fn remove(&mut self, number: usize, position: usize) {
        let node = &mut self.nodes[number];
        if let Some(entry) = node.remove(position) {
            self.bytes -= entry.bytes();
            self.length -= 1;
        }
        if node.entries.is_empty() {
            self.nodes.remove(number);
        }
    }

    /// Removes the first entries. Returns how many.
    pub(in crate::memory) fn trim(&mut self, trim: Trim) -> usize {
        let mut trimmed = 0;
        while let Some(node) = self.nodes.front() {
            let size = node.entries.len();
            let is_over = match trim.bound {
                Bound::Length(most) => self.length as u64 > most,
                Bound::Id(least) => node.first() < least,
            };
            let is_too_much = trim.limit > 0 && (trimmed + size) as u64 > trim.limit;
            let is_whole = match trim.bound {
                Bound::Length(most) => (self.length - size) as u64 >= most,
                Bound::Id(least) => node.last() < least,
            };
            if !is_over || is_too_much || trim.is_approximate && !is_whole {
                break;
            }
            let excess = match trim.bound {
                _ if is_whole => size,
                Bound::Length(most) => self.length - most as usize,
                Bound::Id(least) => node.entries.partition_point(|entry| entry.id < least),
            };
            for _ in 0..excess {
                self.remove(0, 0);
            }
            trimmed += excess;
        }
        trimmed
    }

    pub(in crate::memory) fn groups(&self) -> &BTreeMap<Bytes, Group> {
        &self.groups
    }

    /// A group to be changed.
    pub(in crate::memory) fn group_mut(&mut self, name: &[u8]) -> Option<EditGroup<'_>> {
        let group = self.groups.get_mut(name)?;
        self.bytes -= group.bytes();
        Some(EditGroup {
            group,
            bytes: &mut self.bytes,
        })
    }

    /// Tells whether there was no group of that name.
    pub(in crate::memory) fn create_group(&mut self, name: &Bytes, group: Group) -> bool {
        let is_new = !self.groups.contains_key(name);
        if is_new {
            self.bytes += name.len() + GROUP_BYTES + group.bytes();
            self.groups.insert(name.clone(), group);
        }
        is_new
    }

    /// Tells whether there was a group of that name.
    pub(in crate::memory) fn destroy_group(&mut self, name: &[u8]) -> bool {
        let group = self.groups.remove(name);
        self.bytes -= group
            .as_ref()
            .map_or(0, |group| name.len() + GROUP_BYTES + group.bytes());
        group.is_some()
    }

    /// Moves a group on over entries that it has not seen, at most so many. They are pending then, unless the
    /// consumer needs no acknowledgement. Returns their ids.
    pub(in crate::memory) fn deliver(
        &mut self,
        group: &[u8],
        most: usize,
        consumer: Option<&Bytes>,
        now: Millis,
    ) -> Vec<Id> {
        let Some(known) = self.groups.get(group) else {
            return Vec::new();
        };
        let mut last_id = known.last_id;
        let mut read = known.entries_read;
        let ids: Vec<Id> = self
            .after(last_id)
            .take(most)
            .map(|entry| entry.id)
            .collect();
        for id in &ids {
            read = self.entries_read(last_id, read, *id);
            last_id = *id;
        }
        if let Some(mut group) = self.group_mut(group) {
            (group.last_id, group.entries_read) = (last_id, read);
            for id in &ids {
                if let Some(consumer) = consumer {
                    let pending = Pending {
                        consumer: consumer.clone(),
                        delivered_at: now,
                        deliveries: 1,
                    };
                    group.assign(*id, pending, now);
                }
            }
        }
        ids
    }

    /// The number of entries read, after one more, if so many were read up to another.
    fn entries_read(&self, last_id: Id, read: Option<i64>, id: Id) -> Option<i64> {
        match read {
            Some(read) if last_id >= self.first_id() && !self.has_tombstones_from(last_id) => {
                Some(read.wrapping_add(1))
            }
            _ if self.added != 0 => self.position_ever(id),
            read => read,
        }
    }

    /// Whether an entry from this id on may have been deleted.
    fn has_tombstones_from(&self, id: Id) -> bool {
        self.length > 0 && self.max_deleted != Id::MIN && id <= self.max_deleted
    }

    /// The number of entries that were ever added up to this id, if it is known.
    pub(in crate::memory) fn position_ever(&self, id: Id) -> Option<i64> {
        if self.added == 0 {
            return Some(0);
        }
        if self.length == 0 && id <= self.last_id {
            return Some(self.added);
        }
        if id != Id::MIN && id < self.max_deleted {
            return None;
        }
        if id == self.last_id {
            return Some(self.added);
        }
        let first = self.first_id();
        let has_gaps = self.max_deleted != Id::MIN && self.max_deleted >= first;
        if id > self.last_id || has_gaps {
            return None;
        }
        let before = self.added.wrapping_sub(self.length as i64);
        if id < first {
            return Some(before);
        }
        (id == first).then(|| before.wrapping_add(1))
    }

    /// The number of entries that are still to be delivered to a group, if it is known.
    pub(in crate::memory) fn lag(&self, group: &Group) -> Option<i64> {
        if self.length == 0 {
            return Some(0);
        }
        let first = self.first_id();
        if group.last_id < first && self.max_deleted < first {
            return Some(self.length as i64);
        }
        let read = match group.entries_read {
            Some(read) if !self.has_tombstones_from(group.last_id) => Some(read),
            _ => self.position_ever(group.last_id),
        };
        read.map(|read| self.added.wrapping_sub(read))
    }
}
