//! The keys among the words of a command.

use super::{
    Upper,
    key_patterns::{KeyRange, Pattern},
};

/// The keys of a command, each with the number of its word. The name is the word of number 0.
///
/// `survey` is asked for the keys of a command that is on no list, by its name; it tells what the server has said. Nothing
/// is allocated, and for most commands only the first words are looked at. Words that are no valid command have no keys,
/// or those that the server would see: it answers with an error anyway.
pub(crate) fn keys<'a, W>(words: W, survey: impl FnOnce(&[u8]) -> Option<KeyRange>) -> Keys<'a, W>
where
    W: Iterator<Item = &'a [u8]> + Clone,
{
    let runs = runs(words.clone(), survey).unwrap_or([Run::NONE; 2]);
    Keys {
        words,
        passed: 0,
        runs,
    }
}

/// The keys that are left, in the order of the words.
#[derive(Clone, Debug)]
pub(crate) struct Keys<'a, W: Iterator<Item = &'a [u8]>> {
    words: W,
    /// The number of words before the rest.
    passed: usize,
    runs: [Run; 2],
}

impl<'a, W: Iterator<Item = &'a [u8]>> Iterator for Keys<'a, W> {
    type Item = (usize, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let mut runs = self.runs.iter_mut();
        let at = runs.find_map(Run::next)?;
        let key = self.words.nth(at - self.passed)?;
        self.passed = at + 1;
        Some((at, key))
    }
}

/// Keys at a distance of `step` words.
#[derive(Clone, Copy, Debug)]
struct Run {
    next: usize,
    left: usize,
    step: usize,
}

impl Run {
    const NONE: Self = Self::new(0, 0, 1);

    const fn new(next: usize, left: usize, step: usize) -> Self {
        Self { next, left, step }
    }

    const fn one(at: usize) -> Self {
        Self::new(at, 1, 1)
    }

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let at = self.next;
        self.next += self.step;
        Some(at)
    }
}

/// The runs of keys, in the order of the words; `None` if there are no keys.
#[inline]
fn runs<'a>(
    mut words: impl Iterator<Item = &'a [u8]> + Clone,
    survey: impl FnOnce(&[u8]) -> Option<KeyRange>,
) -> Option<[Run; 2]> {
    let all = words.clone();
    let name = words.next()?;
    let pattern = match Pattern::of(&Upper::of(name), words.next()) {
        Some(pattern) => pattern,
        None => Pattern::Range(survey(name)?),
    };
    let alone = |run| Some([run, Run::NONE]);
    match pattern {
        Pattern::None => None,
        Pattern::Range(range) => alone(of_range(range, all)?),
        Pattern::Counted { at, step } => alone(of_count(at, step, all)?),
        Pattern::StoresCounted => Some([Run::one(1), of_count(2, 1, all)?]),
        Pattern::Streams => alone(of_streams(all)?),
        Pattern::Sorts => Some([Run::one(1), sorted_into(all)]),
        Pattern::Radius => Some([Run::one(1), found_into(all)]),
        Pattern::Compares => alone(compared(all)?),
        Pattern::Migrates => alone(migrated(all)?),
    }
}

fn of_range<'a>(range: KeyRange, words: impl Iterator<Item = &'a [u8]>) -> Option<Run> {
    let KeyRange { first, last, step } = range;
    if first == 0 || step == 0 {
        return None;
    }
    let last = match usize::try_from(last) {
        Ok(last) => last,
        Err(_) => words.count().checked_sub(last.unsigned_abs())?,
    };
    let steps = last.checked_sub(first)? / step;
    Some(Run::new(first, steps + 1, step))
}

/// If there are fewer words than the number says, there are no keys.
fn of_count<'a>(at: usize, step: usize, mut words: impl Iterator<Item = &'a [u8]>) -> Option<Run> {
    let count: usize = std::str::from_utf8(words.nth(at)?).ok()?.parse().ok()?;
    let before_last = count.checked_sub(1)?.checked_mul(step)?;
    words.nth(before_last)?;
    Some(Run::new(at + 1, count, step))
}

/// The options end at `STREAMS`. A group may be called that, too.
fn of_streams<'a>(words: impl Iterator<Item = &'a [u8]>) -> Option<Run> {
    let mut words = words.enumerate().skip(1);
    let streams = loop {
        let (at, option) = words.next()?;
        match Upper::of(option).as_bytes() {
            b"STREAMS" => break at,
            b"GROUP" => drop(words.nth(1)),
            b"BLOCK" | b"COUNT" | b"CLAIM" => drop(words.next()),
            _ => {}
        }
    };
    Some(Run::new(streams + 1, words.count() / 2, 1))
}

/// Of several destinations the last counts.
fn sorted_into<'a>(words: impl Iterator<Item = &'a [u8]>) -> Run {
    let mut options = words.enumerate().skip(2);
    let mut store = Run::NONE;
    while let Some((_, option)) = options.next() {
        match Upper::of(option).as_bytes() {
            b"LIMIT" => drop(options.nth(1)),
            b"BY" | b"GET" => drop(options.next()),
            b"STORE" => store = options.next().map_or(store, |(at, _)| Run::one(at)),
            _ => {}
        }
    }
    store
}

/// Of several destinations the last counts. The options begin behind four words at least.
fn found_into<'a>(words: impl Iterator<Item = &'a [u8]>) -> Run {
    let mut options = words.enumerate().skip(5);
    let mut store = Run::NONE;
    while let Some((_, option)) = options.next() {
        if matches!(Upper::of(option).as_bytes(), b"STORE" | b"STOREDIST") {
            store = options.next().map_or(store, |(at, _)| Run::one(at));
        }
    }
    store
}

fn compared<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Option<Run> {
    let at = words.position(|word| Upper::of(word).as_bytes() == b"KEYS")?;
    Some(Run::new(at + 1, 2, 1))
}

/// Passwords may be called like options.
fn migrated<'a>(words: impl Iterator<Item = &'a [u8]>) -> Option<Run> {
    let mut words = words.enumerate().skip(3);
    let (at, key) = words.next()?;
    if !key.is_empty() {
        return Some(Run::one(at));
    }
    let mut options = words.skip(2);
    loop {
        let (at, option) = options.next()?;
        match Upper::of(option).as_bytes() {
            b"AUTH" => drop(options.next()),
            b"AUTH2" => drop(options.nth(1)),
            b"KEYS" => return Some(Run::new(at + 1, options.count(), 1)),
            _ => {}
        }
    }
}
