//! The data: numbered databases of keys, each with a value and perhaps an expiry.

mod database;
mod entry;
mod hash;
mod list;
mod set;
mod sorted_set;
mod stream;
mod value;

pub(super) use database::{Database, Edit};
pub(super) use hash::Hash;
pub(super) use list::{End, List};
pub(super) use set::Set;
pub(super) use sorted_set::SortedSet;
pub(super) use stream::{Bound, Consumer, Entry, Group, Id, Pending, Stream, Trim};
pub(super) use value::{Kind, Value};

use std::mem;

/// A time in milliseconds of the Unix epoch.
pub(super) type Millis = u64;

pub(super) const DATABASES: usize = 16;

#[derive(Debug)]
pub(super) struct Keyspace {
    databases: Vec<Database>,
}

impl Keyspace {
    pub(super) fn new() -> Self {
        Self {
            databases: (0..DATABASES).map(|_| Database::default()).collect(),
        }
    }

    pub(super) fn database(&mut self, number: usize) -> &mut Database {
        &mut self.databases[number]
    }

    pub(super) fn databases(&self) -> &[Database] {
        &self.databases
    }

    /// The number of keys that were removed because their time had come.
    pub(super) fn expired(&self) -> u64 {
        self.databases.iter().map(Database::expired).sum()
    }

    /// The database of a number that a caller states.
    pub(super) fn get(&mut self, number: usize) -> Option<&Database> {
        self.databases.get(number)
    }

    /// Two different databases at once.
    pub(super) fn pair(
        &mut self,
        one: usize,
        other: usize,
    ) -> Option<(&mut Database, &mut Database)> {
        let [one, other] = self.databases.get_disjoint_mut([one, other]).ok()?;
        Some((one, other))
    }

    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Database> {
        self.databases.iter_mut()
    }

    /// Exchanges the data of two databases. Clients stay where they are, and see the other data.
    pub(super) fn swap(&mut self, one: usize, other: usize) {
        if let Some((one, other)) = self.pair(one, other) {
            // Keys of both, as each of them has come or gone.
            let keys: Vec<_> = one.keys().chain(other.keys()).cloned().collect();
            mem::swap(one, other);
            one.note_changes(&keys);
            other.note_changes(&keys);
        }
    }

    /// Removes every key whose time has come, so that no command meets one. Tells whether there were any.
    pub(super) fn expire(&mut self, now: Millis) -> bool {
        let mut has_expired = false;
        for database in &mut self.databases {
            has_expired |= database.expire(now);
        }
        has_expired
    }

    /// Holds every count and index against the data itself.
    #[cfg(test)]
    pub(super) fn check_counts(&self) {
        self.databases.iter().for_each(Database::check_counts);
    }

    /// Bytes of all keys and values, with an estimate of what each entry costs beside them.
    pub(super) fn bytes(&self) -> usize {
        self.databases.iter().map(Database::bytes).sum()
    }
}
