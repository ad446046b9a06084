//! The parts of a server that announced work is about.

use std::collections::BTreeSet;

/// The parts of a server that an announcement names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    /// It names none.
    Untold,
    Shards(BTreeSet<String>),
    /// Ranges of slots, with the first and the last one.
    Slots(Vec<(u16, u16)>),
}

/// More parts of one announcement are not looked at.
const MOST: usize = 1024;

impl Parts {
    /// Reads the names of shards, of which one text may have several.
    pub(crate) fn shards<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let is_between = |c: char| !c.is_alphanumeric() && !"-_.:".contains(c);
        let names = texts.flat_map(|text| text.split(is_between));
        let names = names.filter(|name| !name.is_empty()).take(MOST);
        let names: BTreeSet<_> = names.map(str::to_owned).collect();
        if names.is_empty() {
            Self::Untold
        } else {
            Self::Shards(names)
        }
    }

    /// Reads slots and ranges of them. What is neither, such as the address of a node, is left out.
    pub(crate) fn slots<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let is_between = |c: char| !c.is_alphanumeric() && !"-_.:".contains(c);
        let ranges = texts.flat_map(|text| text.split(is_between));
        let ranges: Vec<_> = ranges.filter_map(range).take(MOST).collect();
        if ranges.is_empty() {
            Self::Untold
        } else {
            Self::Slots(ranges)
        }
    }

    pub(crate) fn is_told(&self) -> bool {
        *self != Self::Untold
    }

    /// Whether nothing is left of what was told.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Untold => false,
            Self::Shards(names) => names.is_empty(),
            Self::Slots(ranges) => ranges.is_empty(),
        }
    }

    /// Takes these out. Tells whether there were any of them.
    pub(crate) fn take_out(&mut self, others: &Self) -> bool {
        match (self, others) {
            (Self::Shards(names), Self::Shards(others)) => {
                let before = names.len();
                names.retain(|name| !others.contains(name));
                names.len() < before
            }
            (Self::Slots(ranges), Self::Slots(others)) => {
                let mut has_any = false;
                for other in others {
                    has_any |= ranges.iter().any(|range| overlap(*range, *other));
                    let left = ranges.iter().flat_map(|range| without(*range, *other));
                    *ranges = left.take(MOST).collect();
                }
                has_any
            }
            _ => false,
        }
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

fn overlap((first, last): (u16, u16), (from, to): (u16, u16)) -> bool {
    first <= to && from <= last
}

/// What is left of a range without another one.
fn without(range: (u16, u16), other: (u16, u16)) -> impl Iterator<Item = (u16, u16)> {
    let ((first, last), (from, to)) = (range, other);
    let is_apart = !overlap(range, other);
    let whole = is_apart.then_some(range);
    let before = (!is_apart && first < from).then(|| (first, from - 1));
    let after = (!is_apart && to < last).then(|| (to + 1, last));
    [whole, before, after].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(texts: &[&str]) -> Parts {
        Parts::shards(texts.iter().copied())
    }

    fn slots(texts: &[&str]) -> Parts {
        Parts::slots(texts.iter().copied())
    }

    #[test]
    fn names_are_read_from_texts_in_any_form() {
        let expected = shards(&["1", "redis:2"]);
        assert!(expected.is_told());
        assert_eq!(shards(&["[\"1\", \"redis:2\"]"]), expected);
        assert_eq!(shards(&["redis:2,1"]), expected);
        assert_eq!(shards(&["[]", " "]), Parts::Untold);
        assert_eq!(
            slots(&["1,3-5", "host:6379"]),
            Parts::Slots(vec![(1, 1), (3, 5)])
        );
        for none in ["", "a-b", "5-3", "70000", "-"] {
            assert_eq!(slots(&[none]), Parts::Untold, "{none}");
        }
    }

    #[test]
    fn what_has_ended_is_taken_out() {
        let mut left = shards(&["1", "2"]);
        assert!(!left.take_out(&shards(&["3"])));
        assert!(left.take_out(&shards(&["1", "3"])));
        assert_eq!(left, shards(&["2"]));
        assert!(left.take_out(&shards(&["2"])) && left.is_empty());

        let mut left = slots(&["0-100", "200"]);
        assert!(!left.take_out(&slots(&["101-199"])));
        assert!(left.take_out(&slots(&["40-50,200-300"])));
        assert_eq!(left, slots(&["0-39", "51-100"]));
        assert!(left.take_out(&slots(&["0-16383"])) && left.is_empty());
        assert!(!left.take_out(&shards(&["1"])));
        assert!(!Parts::Untold.is_empty());
    }
}
