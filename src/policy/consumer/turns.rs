//! Whose turn it is: as many entries at a time as permitted, and of those with the same key one after the other.

use std::collections::{HashMap, VecDeque};

use super::EntryId;

/// What entries have in common that are handled one after the other.
pub(crate) type Key = Box<[u8]>;

/// The entries that wait for their turn. An entry without a key waits for no other.
#[derive(Debug)]
pub(super) struct Turns {
    concurrency: usize,
    running: usize,
    ready: VecDeque<EntryId>,
    /// The keys that have an entry that runs or is ready, with the entries behind it.
    lanes: HashMap<Key, VecDeque<EntryId>>,
}

impl Turns {
    pub(super) fn new(concurrency: usize) -> Self {
        Self {
            concurrency,
            running: 0,
            ready: VecDeque::new(),
            lanes: HashMap::new(),
        }
    }

    pub(super) fn join(&mut self, id: EntryId, key: Option<&Key>) {
        let Some(key) = key else {
            self.ready.push_back(id);
            return;
        };
        match self.lanes.get_mut(key) {
            Some(behind) => behind.push_back(id),
            None => {
                self.lanes.insert(key.clone(), VecDeque::new());
                self.ready.push_back(id);
            }
        }
    }

    /// The next entry that may run, which counts as running from now on.
    pub(super) fn next(&mut self) -> Option<EntryId> {
        if self.running >= self.concurrency {
            return None;
        }
        let next = self.ready.pop_front()?;
        self.running += 1;
        Some(next)
    }

    /// An entry with this key has run.
    pub(super) fn done(&mut self, key: Option<&Key>) {
        self.running -= 1;
        self.advance(key);
    }

    /// An entry that waits has no turn any more.
    pub(super) fn leave(&mut self, id: EntryId, key: Option<&Key>) {
        if let Some(at) = self.ready.iter().position(|ready| *ready == id) {
            self.ready.remove(at);
            self.advance(key);
        } else if let Some(behind) = key.and_then(|key| self.lanes.get_mut(key)) {
            behind.retain(|other| *other != id);
        }
    }

    /// The next entry with this key has its turn.
    fn advance(&mut self, key: Option<&Key>) {
        let Some(key) = key else {
            return;
        };
        let next = self.lanes.get_mut(key).and_then(VecDeque::pop_front);
        match next {
            Some(next) => self.ready.push_back(next),
            None => {
                self.lanes.remove(key);
            }
        }
    }

    /// No entry has another turn.
    pub(super) fn end(&mut self) {
        self.ready.clear();
        self.lanes.clear();
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }
}
