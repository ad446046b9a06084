//! The clients that track keys, and the keys that they have read.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    ops::Bound,
};

use bytes::Bytes;
use indexmap::{IndexMap, IndexSet};

use super::{keyspace::Millis, session::ClientId, tracking::Tracking};

#[derive(Debug, Default)]
pub(super) struct Trackers {
    clients: BTreeSet<ClientId>,
    /// Those of them that are told of prefixes.
    broadcasting: BTreeSet<ClientId>,
    /// The clients that have read a key since it was last told. As in Redis, databases are not told apart, and keys stay
    /// when a client ends its tracking: it may begin again.
    keys: IndexMap<Bytes, Vec<ClientId>>,
    /// The same by client, so that one that goes is forgotten without a look at the keys of others.
    by_client: BTreeMap<ClientId, IndexSet<Bytes>>,
    changed: Changed,
    /// The next expiry that the streams of clients know of. It may be over.
    expiry: Option<Millis>,
}

/// Keys that have changed since the last broadcast; each with the client that has changed it, if it was one alone.
pub(super) type Changed = BTreeMap<Bytes, Option<ClientId>>;

impl Trackers {
    /// Whether changes of keys are of interest.
    pub(super) fn are_any(&self) -> bool {
        !self.clients.is_empty() || !self.keys.is_empty()
    }

    pub(super) fn clients(&self) -> &BTreeSet<ClientId> {
        &self.clients
    }

    pub(super) fn broadcasting(&self) -> &BTreeSet<ClientId> {
        &self.broadcasting
    }

    /// How many keys are remembered.
    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }

    /// How many keys are remembered, each as often as there are clients that have read it.
    pub(super) fn items(&self) -> usize {
        self.keys.values().map(Vec::len).sum()
    }

    pub(super) fn begin(&mut self, id: ClientId, tracking: &Tracking) {
        self.clients.insert(id);
        if tracking.broadcasts() {
            self.broadcasting.insert(id);
        }
    }

    pub(super) fn end(&mut self, id: ClientId) {
        self.clients.remove(&id);
        self.broadcasting.remove(&id);
        if self.broadcasting.is_empty() {
            // Those that begin later are told of later changes.
            self.changed.clear();
        }
    }

    /// A client has gone. It may have ended its tracking before.
    pub(super) fn forget(&mut self, id: ClientId) {
        self.end(id);
        for key in self.by_client.remove(&id).unwrap_or_default() {
            let Some(ids) = self.keys.get_mut(&key) else {
                continue;
            };
            ids.retain(|reader| *reader != id);
            if ids.is_empty() {
                self.keys.swap_remove(&key);
            }
        }
    }

    /// A client has read a key.
    pub(super) fn remember(&mut self, id: ClientId, key: &Bytes) {
        let keys = self.by_client.entry(id).or_default();
        if !keys.contains(key) {
            keys.insert(key.clone());
            self.keys.entry(key.clone()).or_default().push(id);
        }
    }

    /// A key has changed. Returns the clients that have read it. It is forgotten.
    pub(super) fn take(&mut self, key: &[u8]) -> Vec<ClientId> {
        let ids = self.keys.swap_remove(key).unwrap_or_default();
        for id in &ids {
            let Some(keys) = self.by_client.get_mut(id) else {
                continue;
            };
            keys.swap_remove(key);
            if keys.is_empty() {
                self.by_client.remove(id);
            }
        }
        ids
    }

    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.by_client.clear();
    }

    /// One of the keys.
    pub(super) fn any_key(&self, random: &mut fastrand::Rng) -> Option<Bytes> {
        let at = random.usize(..self.keys.len().max(1));
        self.keys.get_index(at).map(|(key, _)| key.clone())
    }

    /// Something expires next at this time. Tells whether that is earlier than what was known.
    pub(super) fn note_expiry(&mut self, next: Option<Millis>) -> bool {
        let known = mem::replace(&mut self.expiry, next);
        next.is_some_and(|next| known.is_none_or(|known| next < known))
    }

    /// Holds the keys of the clients against the clients of the keys. All clients are to be of this list.
    #[cfg(test)]
    pub(super) fn check_keys(&self, connected: &BTreeSet<ClientId>) {
        let mut by_client = BTreeMap::<ClientId, IndexSet<Bytes>>::new();
        for (key, ids) in &self.keys {
            assert!(!ids.is_empty(), "{key:?}");
            for id in ids {
                assert!(connected.contains(id), "{id} has gone");
                assert!(by_client.entry(*id).or_default().insert(key.clone()));
            }
        }
        assert_eq!(self.by_client, by_client);
    }

    /// A key has changed that may be in a broadcast.
    pub(super) fn note_changed(&mut self, key: &Bytes, by: Option<ClientId>) {
        if self.broadcasting.is_empty() {
            return;
        }
        let changed = self.changed.entry(key.clone()).or_insert(by);
        if *changed != by {
            *changed = None;
        }
    }

    /// The keys that have changed since the last call.
    pub(super) fn take_changed(&mut self) -> Changed {
        mem::take(&mut self.changed)
    }
}

/// The keys that begin with a prefix.
pub(super) fn with_prefix<'a>(
    changed: &'a Changed,
    prefix: &'a Bytes,
) -> impl Iterator<Item = (&'a Bytes, &'a Option<ClientId>)> {
    let from = (Bound::Included(prefix), Bound::Unbounded);
    changed
        .range::<Bytes, _>(from)
        .take_while(move |(key, _)| key.starts_with(prefix))
}
