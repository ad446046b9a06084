//! Which changes of a lot go back into the journal.

use std::collections::{HashMap, HashSet};

use super::{
    change::Change,
    replayed::{Replayed, Settled},
};

/// Judges the changes of one lot, one after the other.
#[derive(Debug, Default)]
pub(super) struct Returns {
    /// Changes that the server puts off are kept.
    is_patient: bool,
    settled: Settled,
    /// Keys with a change that goes back.
    delayed: HashSet<Vec<u8>>,
    /// Those whose value is set again first, so that what follows may be repeated.
    renewed: HashSet<Vec<u8>>,
    /// The same of parts of values.
    renewed_parts: HashMap<Vec<u8>, HashSet<Vec<u8>>>,
}

impl Returns {
    pub(super) fn new(is_patient: bool) -> Self {
        Self {
            is_patient,
            ..Self::default()
        }
    }

    /// How those have ended that do not go back.
    pub(super) fn settled(&self) -> Settled {
        self.settled
    }

    /// Whether the next change, which has ended like this, goes back.
    pub(super) fn takes(&mut self, key: &[u8], change: &Change, end: Replayed) -> bool {
        let may_repeat = change.repeats() || self.is_renewed(key, change);
        let goes_back = match end {
            // What the server has done, or refused, before an earlier change of the key is sent once more after it.
            Replayed::Done | Replayed::Refused if may_repeat && self.delayed.contains(key) => true,
            Replayed::Done => {
                self.settled.done += 1;
                false
            }
            Replayed::NotYet if self.is_patient => true,
            Replayed::Refused | Replayed::NotYet => {
                self.settled.refused += 1;
                false
            }
            Replayed::NotSent => true,
            Replayed::Unknown => {
                self.settled.in_doubt += u64::from(!may_repeat);
                may_repeat
            }
        };
        if goes_back {
            self.note(key, change);
        }
        goes_back
    }

    /// Whether a change that goes back sets what this one adds to.
    fn is_renewed(&self, key: &[u8], change: &Change) -> bool {
        let is_part_renewed = |part| {
            let parts = self.renewed_parts.get(key);
            parts.is_some_and(|parts| parts.contains(part))
        };
        self.renewed.contains(key) || change.summand().is_some_and(is_part_renewed)
    }

    fn note(&mut self, key: &[u8], change: &Change) {
        self.delayed.insert(key.to_vec());
        if change.replaces() {
            self.renewed.insert(key.to_vec());
        }
        let mut parts = change.parts_set().peekable();
        if parts.peek().is_some() {
            let renewed = self.renewed_parts.entry(key.to_vec()).or_default();
            renewed.extend(parts.map(<[u8]>::to_vec));
        }
    }
}
