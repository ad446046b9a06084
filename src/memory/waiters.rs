//! The clients that are interested in keys: those that wait for one, and those that watch one.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::{keyspace::DATABASES, session::ClientId};

/// Clients by key and database, first come, first served.
#[derive(Debug)]
pub(super) struct Waiters {
    databases: Vec<HashMap<Bytes, VecDeque<ClientId>>>,
}

impl Waiters {
    pub(super) fn new() -> Self {
        Self {
            databases: vec![HashMap::new(); DATABASES],
        }
    }

    pub(super) fn add(&mut self, id: ClientId, database: usize, key: &Bytes) {
        let queue = self.databases[database].entry(key.clone()).or_default();
        if !queue.contains(&id) {
            queue.push_back(id);
        }
    }

    pub(super) fn remove(&mut self, id: ClientId, database: usize, key: &Bytes) {
        let by_key = &mut self.databases[database];
        if let Some(queue) = by_key.get_mut(key) {
            queue.retain(|waiter| *waiter != id);
            if queue.is_empty() {
                by_key.remove(key);
            }
        }
    }

    /// Whether there is a client for any key of this database.
    pub(super) fn has(&self, database: usize) -> bool {
        !self.databases[database].is_empty()
    }

    /// Whether both are about the same clients and keys.
    #[cfg(test)]
    pub(super) fn has_same(&self, other: &Self) -> bool {
        use std::collections::BTreeSet;
        let all = |waiters: &Self| -> BTreeSet<(usize, Bytes, ClientId)> {
            let databases = waiters.databases.iter().enumerate();
            let keys = databases.flat_map(|(number, keys)| {
                keys.iter().map(move |(key, queue)| (number, key, queue))
            });
            keys.flat_map(|(number, key, queue)| {
                queue.iter().map(move |id| (number, key.clone(), *id))
            })
            .collect()
        };
        all(self) == all(other)
    }

    /// The clients of a key, in the order in which they came.
    pub(super) fn of(&self, database: usize, key: &Bytes) -> Vec<ClientId> {
        let queue = self.databases[database].get(key);
        queue
            .map(|queue| queue.iter().copied().collect())
            .unwrap_or_default()
    }
}
