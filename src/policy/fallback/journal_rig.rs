//! A journal with the expiries that a store would tell, and lines of commands for it.

use std::{
    collections::HashMap,
    ops::{Deref, DerefMut},
};

use super::{change::Millis, *};

const WIDE: Bounds = Bounds {
    entries: 1_000,
    bytes: 1 << 20,
};

/// Lots of so many commands of any size.
pub(super) fn lot_of(commands: usize) -> LotBounds {
    LotBounds {
        commands,
        bytes: usize::MAX,
        command_bytes: usize::MAX,
    }
}

/// A journal, and what a store would tell of the expiries of keys.
pub(super) struct Rig {
    journal: Journal,
    expiries: HashMap<Vec<u8>, Millis>,
}

impl Deref for Rig {
    type Target = Journal;

    fn deref(&self) -> &Journal {
        &self.journal
    }
}

impl DerefMut for Rig {
    fn deref_mut(&mut self) -> &mut Journal {
        &mut self.journal
    }
}

pub(super) fn journal(keeps: Keeps) -> Rig {
    bounded(keeps, WIDE)
}

pub(super) fn bounded(keeps: Keeps, bounds: Bounds) -> Rig {
    Rig {
        journal: Journal::new(keeps, bounds),
        expiries: HashMap::new(),
    }
}

pub(super) fn run(journal: &mut Rig, lines: &[&str]) {
    run_at(journal, lines, 1_000);
}

pub(super) fn run_at(rig: &mut Rig, lines: &[&str], now: Millis) {
    for line in lines {
        let words: Vec<_> = line.split(' ').map(str::as_bytes).collect();
        for (key, change) in Served::changes(&words, LocalReply::Something, now) {
            match change.expiry() {
                Some(Some(at)) => drop(rig.expiries.insert(key.clone(), at)),
                Some(None) => drop(rig.expiries.remove(&key)),
                None => rig.expiries.retain(|_, at| *at > now),
            }
            let expiry = Some(rig.expiries.get(&key).copied());
            rig.journal.record(key, change, expiry, now);
        }
    }
}
