//! The strings that a server was last seen to have, by reads and by writes.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

/// Keys that are written at about the same time as they are read share so many places.
const PLACES: usize = 1024;

/// The values of reads and writes, bounded in number, bytes and age. The oldest go first.
///
/// Events are numbered. A read that began before a write of its key ended may have seen the value before it, so it is
/// not remembered. Neither is a write that began before another one ended: either may have been the last. Other keys
/// with the same place share that fate.
#[derive(Debug)]
pub(crate) struct LastSeen {
    max_age: Duration,
    max_entries: usize,
    max_bytes: usize,
    values: HashMap<Vec<u8>, Seen>,
    /// The keys by the number of the read or write that told their value.
    order: BTreeMap<u64, Vec<u8>>,
    bytes: usize,
    last: u64,
    /// The number of the last write of the keys of each place.
    written: Vec<u64>,
    /// The number of the last write of keys that are not known.
    all_written: u64,
}

#[derive(Debug)]
struct Seen {
    value: Vec<u8>,
    at: Instant,
    /// The server has it until then, as far as is known.
    until: Option<Instant>,
    number: u64,
}

impl LastSeen {
    pub(crate) fn new(max_age: Duration, max_entries: usize, max_bytes: usize) -> Self {
        Self {
            max_age,
            max_entries,
            max_bytes,
            values: HashMap::new(),
            order: BTreeMap::new(),
            bytes: 0,
            last: 0,
            written: vec![0; PLACES],
            all_written: 0,
        }
    }

    /// The same for reads that begin after this number, which was that of a predecessor.
    pub(crate) fn after(self, last: u64) -> Self {
        Self {
            last: last + 1,
            all_written: last + 1,
            ..self
        }
    }

    /// The number of a read or a write that begins.
    pub(crate) fn begin(&self) -> u64 {
        self.last
    }

    /// A read that began with this number has seen this value at `now`, or none.
    pub(crate) fn note(&mut self, key: &[u8], value: Option<&[u8]>, began: u64, now: Instant) {
        if self.has_been_written(key, began) {
            return;
        }
        let before = self.remove(key);
        let Some(value) = value else {
            return;
        };
        // Reading tells nothing of the time to live, so a value that is still the same keeps its own.
        let same = before.filter(|before| before.value == value);
        self.insert(key, value, now, same.and_then(|same| same.until));
    }

    /// A write that began with this number has given a key this value, until then if it has a time to live.
    pub(crate) fn note_written(
        &mut self,
        key: &[u8],
        value: &[u8],
        began: u64,
        now: Instant,
        until: Option<Instant>,
    ) {
        let is_last = !self.has_been_written(key, began);
        self.forget(key);
        if is_last {
            self.insert(key, value, now, until);
        }
    }

    /// Whether a write has ended since then that may have been one of this key.
    fn has_been_written(&self, key: &[u8], began: u64) -> bool {
        self.all_written > began || self.written[place(key)] > began
    }

    fn insert(&mut self, key: &[u8], value: &[u8], now: Instant, until: Option<Instant>) {
        self.last += 1;
        self.bytes += cost(key, value);
        self.order.insert(self.last, key.to_vec());
        let seen = Seen {
            value: value.to_vec(),
            at: now,
            until,
            number: self.last,
        };
        self.values.insert(key.to_vec(), seen);
        while self.values.len() > self.max_entries || self.bytes > self.max_bytes {
            let Some((_, oldest)) = self.order.first_key_value() else {
                break;
            };
            let oldest = oldest.clone();
            self.remove(&oldest);
        }
    }

    /// A key was written, or may have been.
    pub(crate) fn forget(&mut self, key: &[u8]) {
        self.last += 1;
        self.written[place(key)] = self.last;
        self.remove(key);
    }

    /// Any key may have been written.
    pub(crate) fn forget_all(&mut self) {
        self.last += 1;
        self.all_written = self.last;
        self.values.clear();
        self.order.clear();
        self.bytes = 0;
    }

    /// The value that a key was last seen to have, unless that is too long ago.
    pub(crate) fn get(&self, key: &[u8], now: Instant) -> Option<&[u8]> {
        let seen = self.values.get(key)?;
        let age = now.saturating_duration_since(seen.at);
        let is_gone = seen.until.is_some_and(|until| until <= now);
        (age <= self.max_age && !is_gone).then_some(&*seen.value)
    }

    fn remove(&mut self, key: &[u8]) -> Option<Seen> {
        let seen = self.values.remove(key)?;
        self.bytes -= cost(key, &seen.value);
        self.order.remove(&seen.number);
        Some(seen)
    }
}

fn place(key: &[u8]) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish() as usize % PLACES
}

/// Bytes of an entry, with an estimate of what it takes beside key and value.
fn cost(key: &[u8], value: &[u8]) -> usize {
    2 * key.len() + value.len() + 160
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(60);

    #[test]
    fn the_last_value_is_remembered_for_a_while() {
        let (mut seen, now) = (LastSeen::new(AGE, 10, 10_000), Instant::now());
        seen.note(b"a", Some(b"1"), seen.begin(), now);
        seen.note(b"a", Some(b""), seen.begin(), now);
        assert_eq!(seen.get(b"a", now + AGE), Some(&b""[..]));
        assert_eq!(seen.get(b"a", now + AGE + Duration::from_millis(1)), None);
        seen.note(b"a", None, seen.begin(), now);
        assert_eq!(seen.get(b"a", now), None);
        assert_eq!(seen.bytes, 0);
    }

    #[test]
    fn a_read_that_may_have_seen_the_value_before_a_write_is_not_remembered() {
        let (mut seen, now) = (LastSeen::new(AGE, 10, 10_000), Instant::now());
        let began = seen.begin();
        seen.forget(b"a");
        seen.note(b"a", Some(b"old"), began, now);
        assert_eq!(seen.get(b"a", now), None);
        let began = seen.begin();
        seen.note(b"a", Some(b"new"), began, now);
        assert_eq!(seen.get(b"a", now), Some(&b"new"[..]));
        seen.forget_all();
        seen.note(b"a", Some(b"old"), began, now);
        assert_eq!(seen.get(b"a", now), None);
    }

    #[test]
    fn a_read_that_began_under_a_predecessor_is_not_remembered() {
        let (mut first, now) = (LastSeen::new(AGE, 10, 10_000), Instant::now());
        first.forget(b"b");
        let began = first.begin();
        let mut next = LastSeen::new(AGE, 10, 10_000).after(first.begin());
        next.note(b"a", Some(b"old"), began, now);
        assert_eq!(next.get(b"a", now), None);
        next.note(b"a", Some(b"new"), next.begin(), now);
        assert_eq!(next.get(b"a", now), Some(&b"new"[..]));
    }

    #[test]
    fn a_written_value_is_remembered_until_its_time_is_over() {
        let (mut seen, now) = (LastSeen::new(AGE, 10, 10_000), Instant::now());
        let second = Duration::from_secs(1);
        seen.note_written(b"a", b"1", seen.begin(), now, Some(now + 2 * second));
        assert_eq!(seen.get(b"a", now + second), Some(&b"1"[..]));
        // A read of it does not make it last longer.
        seen.note(b"a", Some(b"1"), seen.begin(), now + second);
        assert_eq!(seen.get(b"a", now + 2 * second), None);
        seen.note(b"a", Some(b"2"), seen.begin(), now + second);
        assert_eq!(seen.get(b"a", now + 2 * second), Some(&b"2"[..]));
    }

    #[test]
    fn of_two_writes_at_the_same_time_neither_is_remembered() {
        let (mut seen, now) = (LastSeen::new(AGE, 10, 10_000), Instant::now());
        let (first, second) = (seen.begin(), seen.begin());
        seen.note_written(b"a", b"1", first, now, None);
        seen.note_written(b"a", b"2", second, now, None);
        assert_eq!(seen.get(b"a", now), None);
        // A read that began before them may have seen an older value still.
        seen.note(b"a", Some(b"0"), first, now);
        assert_eq!(seen.get(b"a", now), None);
    }

    #[test]
    fn the_oldest_go_first() {
        let (mut seen, now) = (LastSeen::new(AGE, 2, 1_000), Instant::now());
        for key in [b"a", b"b", b"a", b"c"] {
            seen.note(key, Some(b"1"), seen.begin(), now);
        }
        assert_eq!(seen.get(b"b", now), None);
        assert!(seen.get(b"a", now).is_some() && seen.get(b"c", now).is_some());
        seen.note(b"d", Some(&[0; 600]), seen.begin(), now);
        assert_eq!((seen.values.len(), seen.order.len()), (2, 2));
        seen.note(b"e", Some(&[0; 2_000]), seen.begin(), now);
        assert_eq!((seen.values.len(), seen.bytes), (0, 0));
    }
}
