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

    /// The clients of a key, in the order in which they came.
    pub(super) fn of(&self, database: usize, key: &Bytes) -> Vec<ClientId> {
        let queue = self.databases[database].get(key);
        queue
            .map(|queue| queue.iter().copied().collect())
            .unwrap_or_default()
    }
}
