//! The changes that are kept for the server, in the order in which they are to be made there.

use std::collections::{BTreeMap, HashMap};

use super::change::{Change, Millis};
use crate::{
    execution::Execution,
    policy::outcome::{Outcome, RetryAdvice, Verdict},
};

/// How long a server may put changes off, such as while it takes no writes.
const PATIENCE: Millis = 10_000;
/// Beside key and value, an entry takes about so much.
const ENTRY_BYTES: usize = 128;

/// The most that a journal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
}

/// The changes that a journal keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeps {
    All,
    /// Those that take something away. It must not come back, even if what was written is given up.
    Removals,
}

/// A bounded journal. Of each key it keeps what is needed to bring the server to the present state: a value
/// that is replaced is forgotten, and additions to the same value are one. When it is full, the keys go that
/// were not changed for longest, with all their changes.
///
/// Changes are made in lots. A lot is taken off the journal, and what becomes of it is told before the next one
/// is taken. So no change is made twice of which that would be noticed.
#[derive(Debug)]
pub(crate) struct Journal {
    keeps: Keeps,
    bounds: Bounds,
    /// By the number of their first change.
    entries: BTreeMap<u64, Entry>,
    /// The numbers of each key's entries, in order.
    by_key: HashMap<Vec<u8>, Vec<u64>>,
    /// The lot that is being made.
    under_way: Vec<Entry>,
    bytes: usize,
    last: u64,
    dropped: u64,
    /// From when on the server has been putting changes off, without making any.
    put_off_from: Option<Millis>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    key: Vec<u8>,
    change: Change,
}

/// Commands to be sent together: the words of each.
pub(crate) type Lot = Vec<Vec<Vec<u8>>>;

/// What has become of one command of a lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replayed {
    Done,
    /// The server will never make it: the key has a value of another type there, or the like.
    Refused,
    /// The server did not make it, and may do so later.
    NotYet,
    /// It was not sent.
    NotSent,
    /// It may have been made.
    Unknown,
}

impl Replayed {
    /// The end of a command that was answered with an error of this classification.
    pub(crate) fn of_error(outcome: Outcome) -> Self {
        let may_come = outcome.again != RetryAdvice::Never || outcome.verdict != Verdict::Healthy;
        match outcome.execution {
            Execution::NotSent => Self::NotSent,
            Execution::NotExecuted if may_come => Self::NotYet,
            Execution::NotExecuted => Self::Refused,
            // An error whose meaning is not known is an answer all the same.
            Execution::Executed | Execution::Unknown => Self::Refused,
        }
    }

    /// The end of commands that were not answered.
    pub(crate) fn of_unanswered(execution: Execution) -> Self {
        match execution {
            Execution::NotSent => Self::NotSent,
            Execution::NotExecuted => Self::NotYet,
            Execution::Executed | Execution::Unknown => Self::Unknown,
        }
    }
}

/// How many of a lot had which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) done: u64,
    pub(crate) refused: u64,
    /// They may have been made, and are not made again.
    pub(crate) in_doubt: u64,
}

impl Journal {
    pub(crate) fn new(keeps: Keeps, bounds: Bounds) -> Self {
        Self {
            keeps,
            bounds,
            entries: BTreeMap::new(),
            by_key: HashMap::new(),
            under_way: Vec::new(),
            bytes: 0,
            last: 0,
            dropped: 0,
            put_off_from: None,
        }
    }

    /// Entries that wait, or are under way.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.under_way.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a change of a key, and tells whether it is one that is kept.
    pub(crate) fn record(&mut self, key: Vec<u8>, change: Change) -> bool {
        if self.keeps == Keeps::Removals && !change.removes() {
            return false;
        }
        if change.replaces() {
            self.forget(&key);
        }
        match self.join(&key, change) {
            Ok(()) => {}
            Err(change) => {
                self.last += 1;
                self.insert(self.last, key, change);
            }
        }
        self.keep_bounds();
        true
    }

    /// The number of changes that were dropped for want of room since this was last asked.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Gives all changes up. Returns their number.
    pub(crate) fn clear(&mut self) -> u64 {
        let number = self.len();
        let empty = Self::new(self.keeps, self.bounds);
        *self = Self {
            last: self.last,
            dropped: self.dropped,
            ..empty
        };
        number as u64
    }

    /// Takes the first changes off, at most so many of about so many bytes, as commands for the server at `now`.
    pub(crate) fn take(&mut self, most: usize, bytes: usize, now: Millis) -> Lot {
        debug_assert!(self.under_way.is_empty(), "BUG: a lot is under way");
        let mut taken = 0;
        while self.under_way.len() < most
            && taken < bytes
            && let Some((&number, entry)) = self.entries.first_key_value()
        {
            taken += cost(&entry.key, &entry.change);
            let entry = self.remove(number);
            self.under_way.extend(entry);
        }
        let lot = self.under_way.iter();
        lot.map(|entry| entry.change.words(&entry.key, now))
            .collect()
    }

    /// The lot has ended like this at `now`: one end for each of its commands, in order.
    pub(crate) fn settle(&mut self, ends: &[Replayed], now: Millis) -> Settled {
        let mut settled = Settled::default();
        let is_patient = self.is_patient(ends, now);
        let lot = std::mem::take(&mut self.under_way);
        // Keys whose value is set again first, so that what follows may be repeated.
        let mut renewed: Vec<Vec<u8>> = Vec::new();
        for (entry, end) in lot.into_iter().zip(ends) {
            let goes_back = match end {
                Replayed::Done => {
                    settled.done += 1;
                    false
                }
                Replayed::Refused => {
                    settled.refused += 1;
                    false
                }
                Replayed::NotYet if !is_patient => {
                    settled.refused += 1;
                    false
                }
                Replayed::NotYet | Replayed::NotSent => true,
                Replayed::Unknown => {
                    if entry.change.replaces() {
                        renewed.push(entry.key.clone());
                    }
                    let may_repeat = entry.change.repeats() || renewed.contains(&entry.key);
                    settled.in_doubt += u64::from(!may_repeat);
                    may_repeat
                }
            };
            if goes_back {
                self.give_back(entry);
            }
        }
        settled
    }

    /// Whether changes that the server puts off are kept. Callers wait for them, so not for ever.
    fn is_patient(&mut self, ends: &[Replayed], now: Millis) -> bool {
        if ends.contains(&Replayed::Done) {
            self.put_off_from = None;
        }
        if !ends.contains(&Replayed::NotYet) {
            return true;
        }
        let from = *self.put_off_from.get_or_insert(now);
        now.saturating_sub(from) < PATIENCE
    }

    /// Puts a change before those of its key that came meanwhile. They may have replaced it.
    fn give_back(&mut self, entry: Entry) {
        let numbers = self.by_key.get(&entry.key).into_iter().flatten();
        let later = numbers.filter(|number| **number > entry.number);
        let is_replaced = later
            .filter_map(|number| self.entries.get(number))
            .any(|later| later.change.replaces());
        if !is_replaced {
            self.insert(entry.number, entry.key, entry.change);
        }
    }

    fn insert(&mut self, number: u64, key: Vec<u8>, change: Change) {
        self.bytes += cost(&key, &change);
        let numbers = self.by_key.entry(key.clone()).or_default();
        let at = numbers.partition_point(|other| *other < number);
        numbers.insert(at, number);
        let entry = Entry {
            number,
            key,
            change,
        };
        self.entries.insert(number, entry);
    }

    /// Makes one of a change and the last one of its key, if that can be; otherwise the change comes back.
    fn join(&mut self, key: &[u8], change: Change) -> Result<(), Change> {
        let last = self.by_key.get(key).and_then(|numbers| numbers.last());
        let Some(entry) = last.and_then(|number| self.entries.get_mut(number)) else {
            return Err(change);
        };
        let before = entry.change.bytes();
        entry.change.join(change)?;
        self.bytes = self.bytes + entry.change.bytes() - before;
        Ok(())
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        self.bytes -= cost(&entry.key, &entry.change);
        if let Some(numbers) = self.by_key.get_mut(&entry.key) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.by_key.remove(&entry.key);
            }
        }
        Some(entry)
    }

    /// Removes all changes of a key. Returns their number.
    fn forget(&mut self, key: &[u8]) -> u64 {
        let numbers = self.by_key.get(key).cloned().unwrap_or_default();
        for number in &numbers {
            self.remove(*number);
        }
        numbers.len() as u64
    }

    fn keep_bounds(&mut self) {
        while self.entries.len() > self.bounds.entries || self.bytes > self.bounds.bytes {
            let Some((_, oldest)) = self.entries.first_key_value() else {
                break;
            };
            let key = oldest.key.clone();
            self.dropped += self.forget(&key);
        }
    }
}

fn cost(key: &[u8], change: &Change) -> usize {
    ENTRY_BYTES + 2 * key.len() + change.bytes()
}
