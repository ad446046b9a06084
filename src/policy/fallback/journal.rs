//! The changes that are kept for the server, in the order in which they are to be made there.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::{
    change::{Change, Expiry, Millis},
    entry::Entry,
    replayed::{Replayed, Settled},
    returns::Returns,
};

/// How long a server may put changes off, such as while it takes no writes.
const PATIENCE: Millis = 10_000;
/// A change is joined to one of so many before it.
const JOIN_BACK: usize = 16;

/// The most that a journal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
}

/// The most that is sent together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LotBounds {
    pub(crate) commands: usize,
    /// About so much.
    pub(crate) bytes: usize,
    /// A larger command is sent in several pieces.
    pub(crate) command_bytes: usize,
}

/// The changes that a journal keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeps {
    All,
    /// Those that take something away. It must not come back, even if what was written is given up.
    Removals,
}

/// A bounded journal. Of each key it keeps what is needed to bring the server to the present state: a value, or a part of
/// one, that is replaced is forgotten, additions to the same value are one, and of a list that is cut the rest is
/// forgotten. When it is full, the keys go that were not changed for longest, with all their changes.
///
/// A key expires behind all its other changes: one that came to the server after that would make a key that stays.
///
/// Changes are made in lots. A lot is taken off the journal, and what becomes of it is told before the next one
/// is taken. So no change is made twice of which that would be noticed.
#[derive(Debug)]
pub(crate) struct Journal {
    keeps: Keeps,
    bounds: Bounds,
    /// By the number of their first change.
    entries: BTreeMap<u64, Entry>,
    by_key: HashMap<Vec<u8>, OfKey>,
    /// The keys by the number of their last change.
    by_change: BTreeMap<u64, Vec<u8>>,
    /// The lot that is being made.
    under_way: Vec<Entry>,
    bytes: usize,
    last: u64,
    dropped: u64,
    /// From when on the server has been putting changes off, without making any.
    put_off_from: Option<Millis>,
}

/// The changes that were given up with a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GivenUp {
    pub(crate) waiting: u64,
    /// They may have been made.
    pub(crate) under_way: u64,
}

/// The numbers of a key's entries, in order, and that of its last change.
#[derive(Debug, Default)]
struct OfKey {
    numbers: VecDeque<u64>,
    changed: u64,
}

/// Commands to be sent together: the words of each.
pub(crate) type Lot = Vec<Vec<Vec<u8>>>;

impl Journal {
    pub(crate) fn new(keeps: Keeps, bounds: Bounds) -> Self {
        Self {
            keeps,
            bounds,
            entries: BTreeMap::new(),
            by_key: HashMap::new(),
            by_change: BTreeMap::new(),
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

    /// Takes a change of a key that was made at `now`, after which it expires then. Tells whether it is one that is kept.
    pub(crate) fn record(
        &mut self,
        key: Vec<u8>,
        change: Change,
        expiry: Expiry,
        now: Millis,
    ) -> bool {
        if self.keeps == Keeps::Removals && !change.removes() {
            return false;
        }
        if change.replaces() {
            self.forget(&key);
        }
        if change.expiry().is_some() {
            self.add(key, change);
        } else {
            self.add_before_expiry(key, change, expiry, now);
        }
        self.keep_bounds();
        true
    }

    /// Adds a change that leaves the time at which the key expires.
    fn add_before_expiry(&mut self, key: Vec<u8>, change: Change, expiry: Expiry, now: Millis) {
        let mut known = self
            .last_of(&key)
            .and_then(|last| last.change.expiry())
            .flatten();
        if known.is_some_and(|at| at <= now) {
            // It has expired, and the change has made a new one.
            known = None;
            self.forget(&key);
            self.add(key.clone(), Change::Delete);
        }
        let is_expiry = |last: &&Entry| matches!(last.change, Change::Expire(Some(_)));
        if let Some(last) = self.last_of(&key).filter(is_expiry) {
            self.remove(last.number);
        }
        if self.keeps == Keeps::All {
            self.cut_again(&key, &change);
        }
        self.add(key.clone(), change);
        // The key may be gone already, for want of room.
        if let Some(at) = expiry.unwrap_or(known)
            && self.keeps == Keeps::All
        {
            self.add(key, Change::Expire(Some(at)));
        }
    }

    /// A list is about to be cut, after elements came to the end that stays. No more of them are needed than it leaves,
    /// and if it was cut like that before them, once is enough.
    fn cut_again(&mut self, key: &[u8], change: &Change) {
        let Some((most, push)) = change.cut() else {
            return;
        };
        let is_push = |last: &&Entry| last.change.is_command(push);
        let Some(pushed) = self.last_of(key).filter(is_push) else {
            return;
        };
        let pushed = pushed.number;
        let numbers = self.by_key.get(key).map(|of_key| &of_key.numbers);
        let before = numbers.and_then(|numbers| numbers.iter().rev().nth(1));
        let is_same = |cut: &&Entry| cut.change == *change;
        let cut = before
            .and_then(|before| self.entries.get(before))
            .filter(is_same);
        if let Some(cut) = cut.map(|cut| cut.number) {
            self.remove(cut);
            // Now it may be joined to the elements before.
            if let Some(pushed) = self.remove(pushed) {
                self.add(pushed.key, pushed.change);
            }
        }
        let last = self
            .by_key
            .get(key)
            .and_then(|of_key| of_key.numbers.back());
        if let Some(entry) = last.and_then(|last| self.entries.get_mut(last)) {
            let less = entry.change.keep_last(most);
            entry.bytes -= less;
            self.bytes -= less;
        }
    }

    /// The number of changes that were dropped for want of room since this was last asked.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Gives all changes up, and the wait for a server that puts them off.
    pub(crate) fn clear(&mut self) -> GivenUp {
        let given_up = GivenUp {
            waiting: self.entries.len() as u64,
            under_way: self.under_way.len() as u64,
        };
        let empty = Self::new(self.keeps, self.bounds);
        *self = Self {
            last: self.last,
            dropped: self.dropped,
            ..empty
        };
        given_up
    }

    /// Takes the first changes off, within these bounds, as commands for the server at `now`.
    pub(crate) fn take(&mut self, bounds: LotBounds, now: Millis) -> Lot {
        debug_assert!(self.under_way.is_empty(), "BUG: a lot is under way");
        let (mut taken, mut is_whole) = (0, true);
        while is_whole
            && self.under_way.len() < bounds.commands
            && taken < bounds.bytes
            && let Some((&number, _)) = self.entries.first_key_value()
        {
            let piece = self.split(number, bounds.command_bytes);
            // The other pieces come in later lots, so that one that is not made can go back before them.
            is_whole = piece.is_none();
            let entry = piece.or_else(|| self.remove(number));
            taken += entry.as_ref().map_or(0, |entry| entry.bytes);
            self.under_way.extend(entry);
        }
        let lot = self.under_way.iter();
        lot.map(|entry| entry.change.words(&entry.key, now))
            .collect()
    }

    /// Takes the first piece off a change of more bytes.
    fn split(&mut self, number: u64, bytes: usize) -> Option<Entry> {
        let entry = self.entries.get_mut(&number)?;
        let before = entry.bytes;
        let piece = entry.split(bytes)?;
        self.bytes -= before - entry.bytes;
        Some(piece)
    }

    /// The lot has ended like this at `now`: one end for each of its commands, in order.
    pub(crate) fn settle(&mut self, ends: &[Replayed], now: Millis) -> Settled {
        let mut returns = Returns::new(self.is_patient(ends, now));
        let lot = std::mem::take(&mut self.under_way);
        for (entry, end) in lot.into_iter().zip(ends) {
            if returns.takes(&entry.key, &entry.change, *end) {
                self.give_back(entry);
            }
        }
        returns.settled()
    }

    /// Whether changes that the server puts off are kept. Callers wait for them, so not for ever.
    fn is_patient(&mut self, ends: &[Replayed], now: Millis) -> bool {
        let mut put_off: HashSet<&[u8]> = HashSet::new();
        let mut has_progress = false;
        for (entry, end) in self.under_way.iter().zip(ends) {
            match end {
                Replayed::NotYet => {
                    put_off.insert(&entry.key);
                }
                Replayed::Done => has_progress |= !put_off.contains(&*entry.key),
                Replayed::Refused | Replayed::NotSent | Replayed::Unknown => {}
            }
        }
        if has_progress {
            self.put_off_from = None;
        }
        if put_off.is_empty() {
            return true;
        }
        let from = *self.put_off_from.get_or_insert(now);
        now.saturating_sub(from) < PATIENCE
    }

    /// Puts a change before those of its key that came meanwhile. They may have replaced it.
    fn give_back(&mut self, mut entry: Entry) {
        let numbers = self.by_key.get(&entry.key).map(|of_key| &of_key.numbers);
        let numbers = numbers.into_iter().flatten();
        let later = numbers.filter(|number| **number > entry.number);
        let is_replaced = later
            .filter_map(|number| self.entries.get(number))
            .any(|later| later.change.replaces());
        if is_replaced {
            return;
        }
        // It may be the first piece of a larger one.
        if let Some(rest) = self.remove(entry.number) {
            entry.unite(rest);
        }
        self.insert(entry);
    }

    /// Adds a change behind the others of its key, or makes one of it and one of them.
    fn add(&mut self, key: Vec<u8>, change: Change) {
        self.last += 1;
        let number = self.last;
        if let Some(of_key) = self.by_key.get_mut(&key) {
            self.by_change.remove(&of_key.changed);
            of_key.changed = number;
            self.by_change.insert(number, key.clone());
        }
        if let Err(change) = self.join(&key, change) {
            self.insert(Entry::new(number, key, change));
        }
    }

    /// Makes one of a change and an earlier one of its key, if nothing in between minds; otherwise the change comes back.
    fn join(&mut self, key: &[u8], mut change: Change) -> Result<(), Change> {
        let numbers = self.by_key.get(key).map(|of_key| &of_key.numbers);
        for number in numbers.into_iter().flatten().rev().take(JOIN_BACK) {
            let Some(entry) = self.entries.get_mut(number) else {
                break;
            };
            match entry.change.join(change) {
                Ok(more) => {
                    entry.bytes = entry.bytes.saturating_add_signed(more);
                    self.bytes = self.bytes.saturating_add_signed(more);
                    return Ok(());
                }
                Err(back) => change = back,
            }
            if !entry.change.commutes(&change) {
                break;
            }
        }
        Err(change)
    }

    fn insert(&mut self, entry: Entry) {
        self.bytes += entry.bytes;
        let of_key = self.by_key.entry(entry.key.clone()).or_default();
        let at = of_key
            .numbers
            .partition_point(|other| *other < entry.number);
        of_key.numbers.insert(at, entry.number);
        if of_key.changed < entry.number {
            self.by_change.remove(&of_key.changed);
            of_key.changed = entry.number;
            self.by_change.insert(entry.number, entry.key.clone());
        }
        self.entries.insert(entry.number, entry);
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        self.bytes -= entry.bytes;
        if let Some(of_key) = self.by_key.get_mut(&entry.key) {
            if let Ok(at) = of_key.numbers.binary_search(&number) {
                of_key.numbers.remove(at);
            }
            if of_key.numbers.is_empty() {
                self.by_change.remove(&of_key.changed);
                self.by_key.remove(&entry.key);
            }
        }
        Some(entry)
    }

    /// Removes all changes of a key. Returns their number.
    fn forget(&mut self, key: &[u8]) -> u64 {
        let Some(of_key) = self.by_key.remove(key) else {
            return 0;
        };
        self.by_change.remove(&of_key.changed);
        for number in &of_key.numbers {
            let entry = self.entries.remove(number);
            self.bytes -= entry.map_or(0, |entry| entry.bytes);
        }
        of_key.numbers.len() as u64
    }

    /// The last change of a key.
    fn last_of(&self, key: &[u8]) -> Option<&Entry> {
        let number = self.by_key.get(key)?.numbers.back()?;
        self.entries.get(number)
    }

    fn keep_bounds(&mut self) {
        while self.entries.len() > self.bounds.entries || self.bytes > self.bounds.bytes {
            let Some((_, oldest)) = self.by_change.first_key_value() else {
                break;
            };
            let key = oldest.clone();
            self.dropped += self.forget(&key);
        }
    }
}
