//! The entries that a consumer holds: delivered to it, and neither acknowledged nor given up.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{EntryId, Found, Key};

#[derive(Debug)]
pub(super) struct HeldEntry<E> {
    /// `None` if it is too large to be read. Such a one is settled.
    pub(super) entry: Option<E>,
    pub(super) key: Option<Key>,
    pub(super) deliveries: u64,
    stage: Stage,
    /// Another consumer has taken it over.
    pub(super) is_lost: bool,
    /// The server has counted its idle time from this moment, or from a later one.
    claimed_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Waiting,
    /// It is left to other consumers.
    GivenBack,
    Running,
    /// It was handled, or is given up.
    Settled,
}

#[derive(Debug)]
pub(super) struct Held<E>(HashMap<EntryId, HeldEntry<E>>);

impl<E> Default for Held<E> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<E: Clone> Held<E> {
    /// Takes an entry, unless it is held already: its claim is then a renewal. Returns whether it is new.
    pub(super) fn take(&mut self, found: &Found<E>, entry: Option<E>, since: Instant) -> bool {
        if let Some(held) = self.0.get_mut(&found.id) {
            held.claimed_at = since;
            held.is_lost = false;
            return false;
        }
        let held = HeldEntry {
            entry,
            key: found.key.clone(),
            deliveries: found.deliveries,
            stage: Stage::Waiting,
            is_lost: false,
            claimed_at: since,
        };
        self.0.insert(found.id, held);
        true
    }

    pub(super) fn get(&self, id: EntryId) -> &HeldEntry<E> {
        self.0.get(&id).expect("BUG: the entry is held")
    }

    pub(super) fn has(&self, id: EntryId) -> bool {
        self.0.contains_key(&id)
    }

    /// Marks an entry as running, and returns it.
    pub(super) fn run(&mut self, id: EntryId) -> E {
        let held = self.enter(id, Stage::Running);
        held.entry.clone().expect("BUG: it was read")
    }

    /// Marks an entry as one that does not run, and never will.
    pub(super) fn settle(&mut self, id: EntryId) {
        self.enter(id, Stage::Settled);
    }

    /// Marks an entry that has not run as one that other consumers are to have.
    pub(super) fn give_back(&mut self, id: EntryId) {
        self.enter(id, Stage::GivenBack);
    }

    /// Gives back the entries that have not run, and returns them in order.
    pub(super) fn give_back_waiting(&mut self) -> Vec<EntryId> {
        let waiting = self.those(|held| held.stage == Stage::Waiting);
        for id in &waiting {
            self.give_back(*id);
        }
        waiting
    }

    /// Another consumer has taken the entry over. If it has not run yet, it is held no more, and is returned.
    pub(super) fn lose(&mut self, id: EntryId) -> Option<HeldEntry<E>> {
        let held = self.0.get_mut(&id)?;
        held.is_lost = true;
        match held.stage {
            Stage::Waiting | Stage::GivenBack => self.0.remove(&id),
            Stage::Running | Stage::Settled => None,
        }
    }

    /// Whether the entry was held.
    pub(super) fn forget(&mut self, id: EntryId) -> bool {
        self.0.remove(&id).is_some()
    }

    pub(super) fn renewed(&mut self, id: EntryId, since: Instant) {
        if let Some(held) = self.0.get_mut(&id) {
            held.claimed_at = held.claimed_at.max(since);
        }
    }

    /// The entries whose claims are to be kept and at least so old, in order.
    pub(super) fn older_than(&self, age: Duration, now: Instant) -> Vec<EntryId> {
        self.those(|held| {
            let is_kept = held.stage != Stage::GivenBack && !held.is_lost;
            is_kept && now.saturating_duration_since(held.claimed_at) >= age
        })
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn enter(&mut self, id: EntryId, stage: Stage) -> &HeldEntry<E> {
        let held = self.0.get_mut(&id).expect("BUG: the entry is held");
        held.stage = stage;
        held
    }

    fn those(&self, is_meant: impl Fn(&HeldEntry<E>) -> bool) -> Vec<EntryId> {
        let meant = self.0.iter().filter(|(_, held)| is_meant(held));
        let mut ids: Vec<_> = meant.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }
}
