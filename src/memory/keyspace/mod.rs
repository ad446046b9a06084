//! The data: numbered databases of keys, each with a value and perhaps an expiry.

mod capacity;
mod changes;
mod database;
mod entry;
mod hash;
mod list;
mod ranking;
mod set;
mod sorted_set;
mod stream;
mod value;

pub(super) use database::{Database, Edit};
pub(super) use hash::Hash;
pub(super) use list::{End, List};
pub(super) use ranking::Scored;
pub(super) use set::Set;
pub(super) use sorted_set::SortedSet;
pub(super) use stream::{Bound, Consumer, Entry, Group, Id, Pending, Stream, Trim};
pub(super) use value::{Kind, Value};

use bytes::Bytes;

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
            one.swap(other);
        }
    }

    /// Removes every key whose time has come, so that no command meets one. Tells whether there were any.
    pub(super) fn expire(&mut self, now: Millis) -> bool {
        let mut has_expired = false;
        let last_use = self.databases.iter().map(Database::last_use).max();
        for database in &mut self.databases {
            // Uses in different databases are comparable.
            database.set_last_use(last_use.unwrap_or(0));
            has_expired |= database.expire(now);
        }
        has_expired
    }

    /// The time at which a key expires next, or a field of a hash.
    pub(super) fn next_expiry(&self) -> Option<Millis> {
        let databases = self.databases.iter();
        databases.filter_map(Database::next_expiry).min()
    }

    /// Holds every count and index against the data itself.
    #[cfg(test)]
    pub(super) fn check_counts(&self) {
        self.databases.iter().for_each(Database::check_counts);
    }

    /// Whether commands count as uses of keys from now on.
    pub(super) fn count_uses(&mut self, counts: bool) {
        for database in &mut self.databases {
            database.set_ignores_uses(!counts);
        }
    }

    /// The key to evict next, and the number of its database: of so many random ones the one that was not used for
    /// longest.
    pub(super) fn least_recently_used(
        &self,
        random: &mut fastrand::Rng,
        samples: usize,
    ) -> Option<(usize, Bytes)> {
        let keys: usize = self.databases.iter().map(Database::len).sum();
        let sampled = (0..samples.min(keys)).filter_map(|_| self.use_at(random.usize(..keys)));
        let (_, number, key) = sampled.min_by_key(|(used, ..)| *used)?;
        Some((number, key.clone()))
    }

    /// The key at a position, of all databases one after the other: the number of its last use, and that of its
    /// database.
    fn use_at(&self, position: usize) -> Option<(u64, usize, &Bytes)> {
        let mut position = position;
        for (number, database) in self.databases.iter().enumerate() {
            if let Some((used, key)) = database.use_at(position) {
                return Some((used, number, key));
            }
            position -= database.len();
        }
        None
    }

    /// Bytes of all keys and values, with an estimate of what each entry costs beside them.
    pub(super) fn bytes(&self) -> usize {
        self.databases.iter().map(Database::bytes).sum()
    }
}
