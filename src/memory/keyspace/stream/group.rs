//! The groups of consumers of a stream.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::Id;
use crate::memory::keyspace::Millis;

/// Consumers that share the entries of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::memory) struct Group {
    /// Entries with greater ids were not delivered.
    pub(in crate::memory) last_id: Id,
    /// The number of entries, of all that the stream ever had, up to `last_id`; `None` if it is not known.
    pub(in crate::memory) entries_read: Option<i64>,
    /// Entries that were delivered and not acknowledged.
    pending: BTreeMap<Id, Pending>,
    consumers: BTreeMap<Bytes, Consumer>,
    bytes: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::memory) struct Pending {
    pub(in crate::memory) consumer: Bytes,
    pub(in crate::memory) delivered_at: Millis,
    pub(in crate::memory) deliveries: i64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::memory) struct Consumer {
    /// The time of its last command.
    pub(in crate::memory) seen_at: Millis,
    /// The time at which it last got an entry.
    pub(in crate::memory) active_at: Option<Millis>,
    pub(in crate::memory) pending: BTreeSet<Id>,
}

impl Group {
    /// The estimate of what a pending entry costs.
    const PENDING_BYTES: usize = 112;
    /// The estimate of what a consumer costs beside its name.
    const CONSUMER_BYTES: usize = 96;

    pub(in crate::memory) fn new(last_id: Id, entries_read: Option<i64>) -> Self {
        Self {
            last_id,
            entries_read,
            ..Self::default()
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn check_counts(&self) {
        let names = self.consumers.keys();
        let bytes = names.map(|name| name.len() + Self::CONSUMER_BYTES);
        let bytes = bytes.sum::<usize>() + self.pending.len() * Self::PENDING_BYTES;
        assert_eq!(self.bytes, bytes);
        let consumers = self.consumers.iter();
        let by_consumer = consumers.flat_map(|(name, consumer)| {
            let ids = consumer.pending.iter();
            ids.map(move |id| (*id, name))
        });
        let by_id = self.pending.iter();
        let by_id = by_id.map(|(id, pending)| (*id, &pending.consumer));
        assert_eq!(
            by_consumer.collect::<BTreeSet<_>>(),
            by_id.collect::<BTreeSet<_>>()
        );
    }

    pub(in crate::memory) fn pending(&self) -> &BTreeMap<Id, Pending> {
        &self.pending
    }

    pub(in crate::memory) fn consumers(&self) -> &BTreeMap<Bytes, Consumer> {
        &self.consumers
    }

    /// Notes a command of a consumer, which is created if it is new. Tells whether it is.
    pub(in crate::memory) fn see(&mut self, consumer: &Bytes, now: Millis) -> bool {
        let is_new = self.create_consumer(consumer, now);
        if let Some(consumer) = self.consumers.get_mut(consumer) {
            consumer.seen_at = now;
        }
        is_new
    }

    /// Tells whether the consumer is new.
    pub(in crate::memory) fn create_consumer(&mut self, name: &Bytes, now: Millis) -> bool {
        let is_new = !self.consumers.contains_key(name);
        if is_new {
            let consumer = Consumer {
                seen_at: now,
                ..Consumer::default()
            };
            self.consumers.insert(name.clone(), consumer);
            self.bytes += name.len() + Self::CONSUMER_BYTES;
        }
        is_new
    }

    /// Removes a consumer with its pending entries. Returns how many there were.
    pub(in crate::memory) fn remove_consumer(&mut self, name: &Bytes) -> usize {
        let Some(consumer) = self.consumers.remove(name) else {
            return 0;
        };
        for id in &consumer.pending {
            self.pending.remove(id);
        }
        let pending = consumer.pending.len();
        self.bytes -= name.len() + Self::CONSUMER_BYTES + pending * Self::PENDING_BYTES;
        pending
    }

    /// An entry is pending at a consumer that was seen, and at no other.
    pub(in crate::memory) fn assign(&mut self, id: Id, pending: Pending, now: Millis) {
        if let Some(consumer) = self.consumers.get_mut(&pending.consumer) {
            consumer.pending.insert(id);
            consumer.active_at = Some(now);
        }
        let name = pending.consumer.clone();
        match self.pending.insert(id, pending) {
            None => self.bytes += Self::PENDING_BYTES,
            Some(old) if old.consumer == name => {}
            Some(old) => {
                if let Some(consumer) = self.consumers.get_mut(&old.consumer) {
                    consumer.pending.remove(&id);
                }
            }
        }
    }

    /// An entry that is pending was delivered once more.
    pub(in crate::memory) fn redeliver(&mut self, id: Id, now: Millis) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.delivered_at = now;
            pending.deliveries = pending.deliveries.wrapping_add(1);
        }
    }

    /// An entry is pending no more. Tells whether it was.
    pub(in crate::memory) fn acknowledge(&mut self, id: Id) -> bool {
        let Some(pending) = self.pending.remove(&id) else {
            return false;
        };
        self.bytes -= Self::PENDING_BYTES;
        if let Some(consumer) = self.consumers.get_mut(&pending.consumer) {
            consumer.pending.remove(&id);
        }
        true
    }
}
