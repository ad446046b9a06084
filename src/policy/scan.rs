//! How far a scan of all keys is.

use std::{fmt, str::FromStr};

use super::slots::{Slot, ranges, write_range};

/// How far a scan is: the slots that are done, and a node with a cursor there. A server that is no node of a cluster is a
/// node without a name, and has all slots.
///
/// The slots of a node are done when all of it was scanned and it has them still. So a slot that moves meanwhile is scanned at
/// its new node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    done: SlotSet,
    at: Option<At>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct At {
    node: Box<str>,
    cursor: u64,
    /// Those that it had when its scan began, and that were not done.
    slots: SlotSet,
}

/// What is asked next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NextScan<'a> {
    /// This cursor at this node.
    Ask { node: &'a str, cursor: u64 },
    /// Nothing: all slots are done, or nobody has those that are left.
    Over { is_complete: bool },
}

impl Progress {
    /// What is asked next. `owner` tells the node of a slot.
    pub(crate) fn next<'o>(&mut self, owner: impl Fn(Slot) -> Option<&'o str>) -> NextScan<'_> {
        let has_left = |at: &At| !at.slots.iter().any(|slot| owner(slot) == Some(&*at.node));
        if self.at.as_ref().is_some_and(has_left) {
            // Its slots are at other nodes now, where its cursor says nothing.
            self.at = None;
        }
        if self.at.is_none() {
            let mut left = Slot::all().filter(|slot| !self.done.has(*slot));
            let Some(node) = left.find_map(&owner) else {
                let is_complete = Slot::all().all(|slot| self.done.has(slot));
                return NextScan::Over { is_complete };
            };
            let left = Slot::all().filter(|slot| !self.done.has(*slot));
            let its = left.filter(|slot| owner(*slot) == Some(node));
            self.at = Some(At {
                node: node.into(),
                cursor: 0,
                slots: its.collect(),
            });
        }
        match &self.at {
            Some(At { node, cursor, .. }) => NextScan::Ask {
                node,
                cursor: *cursor,
            },
            None => unreachable!("BUG: a scan is nowhere"),
        }
    }

    /// The node has answered with this cursor. `owner` tells the node of a slot now.
    pub(crate) fn answered<'o>(&mut self, cursor: u64, owner: impl Fn(Slot) -> Option<&'o str>) {
        let Some(at) = &mut self.at else {
            return;
        };
        at.cursor = cursor;
        if cursor == 0 {
            let node = std::mem::take(&mut at.node);
            let its = at.slots.iter().filter(|slot| owner(*slot) == Some(&*node));
            for slot in its.collect::<Vec<_>>() {
                self.done.add(slot);
            }
            self.at = None;
        }
    }

    /// Whether keys of this slot were scanned at another node already.
    pub(crate) fn is_done(&self, slot: Slot) -> bool {
        self.done.has(slot)
    }
}

/// A set of slots.
#[derive(Clone, PartialEq, Eq)]
struct SlotSet(Box<[u64; WORDS]>);

const WORDS: usize = Slot::COUNT as usize / 64;

impl SlotSet {
    fn has(&self, slot: Slot) -> bool {
        self.0[slot.index() / 64] >> (slot.index() % 64) & 1 == 1
    }

    fn add(&mut self, slot: Slot) {
        self.0[slot.index() / 64] |= 1 << (slot.index() % 64);
    }

    fn iter(&self) -> impl Iterator<Item = Slot> {
        Slot::all().filter(|slot| self.has(*slot))
    }
}

impl Default for SlotSet {
    fn default() -> Self {
        Self(Box::new([0; WORDS]))
    }
}

impl FromIterator<Slot> for SlotSet {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let mut set = Self::default();
        slots.into_iter().for_each(|slot| set.add(slot));
        set
    }
}

/// `0-5460,7000`, or `-` for none.
impl fmt::Display for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = ranges(self.iter().map(Slot::number));
        if ranges.is_empty() {
            return f.write_str("-");
        }
        for (at, slots) in ranges.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            write_range(f, slots)?;
        }
        Ok(())
    }
}

impl fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SlotSet {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut set = Self::default();
        if text == "-" {
            return Ok(set);
        }
        for range in text.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let number = |text: &str| text.parse().ok().and_then(Slot::new).ok_or(());
            let (first, last) = (number(first)?, number(last)?);
            let slots = (first.number()..=last.number()).filter_map(Slot::new);
            slots.for_each(|slot| set.add(slot));
        }
        Ok(set)
    }
}

/// `1 <done> <cursor> <slots of the node> <node>`, or only the first two words between two nodes.
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1 {}", self.done)?;
        match &self.at {
            Some(At {
                node,
                cursor,
                slots,
            }) => write!(f, " {cursor} {slots} {node}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Progress {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.splitn(5, ' ');
        if words.next() != Some("1") {
            return Err(());
        }
        let done = words.next().ok_or(())?.parse()?;
        let Some(cursor) = words.next() else {
            return Ok(Self { done, at: None });
        };
        Ok(Self {
            done,
            at: Some(At {
                cursor: cursor.parse().map_err(|_| ())?,
                slots: words.next().ok_or(())?.parse()?,
                node: words.next().ok_or(())?.into(),
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(progress: &mut Progress, owner: impl Fn(Slot) -> Option<&'static str>) -> (String, u64) {
        match progress.next(owner) {
            NextScan::Ask { node, cursor } => (node.to_owned(), cursor),
            NextScan::Over { is_complete } => (format!("over {is_complete}"), 0),
        }
    }

    fn halves(slot: Slot) -> Option<&'static str> {
        Some(if slot.number() < 8_192 { "a" } else { "b" })
    }

    #[test]
    fn one_node_after_the_other_is_scanned() {
        let mut progress = Progress::default();
        assert_eq!(ask(&mut progress, halves), ("a".into(), 0));
        progress.answered(7, halves);
        assert_eq!(ask(&mut progress, halves), ("a".into(), 7));
        assert_eq!(progress.to_string(), "1 - 7 0-8191 a");
        progress.answered(0, halves);
        assert_eq!(progress.to_string(), "1 0-8191");
        assert_eq!(ask(&mut progress, halves), ("b".into(), 0));
        progress.answered(0, halves);
        assert_eq!(ask(&mut progress, halves), ("over true".into(), 0));
    }

    #[test]
    fn a_slot_that_moves_is_scanned_where_it_is_then() {
        let mut progress = Progress::default();
        assert_eq!(ask(&mut progress, halves), ("a".into(), 0));
        let moved = |slot: Slot| match slot.number() {
            5 => Some("b"),
            _ => halves(slot),
        };
        progress.answered(0, moved);
        assert_eq!(progress.to_string(), "1 0-4,6-8191");
        assert_eq!(ask(&mut progress, moved), ("b".into(), 0));
        progress.answered(0, moved);
        assert_eq!(ask(&mut progress, moved), ("over true".into(), 0));
    }

    #[test]
    fn a_node_that_is_replaced_is_scanned_anew_and_slots_of_nobody_are_told() {
        let mut progress = Progress::default();
        ask(&mut progress, halves);
        progress.answered(9, halves);
        let replaced = |slot: Slot| match halves(slot) {
            Some("a") => Some("c"),
            other => other,
        };
        assert_eq!(ask(&mut progress, replaced), ("c".into(), 0));
        let gone = |slot: Slot| halves(slot).filter(|node| *node == "b");
        assert_eq!(ask(&mut progress, gone), ("b".into(), 0));
        progress.answered(0, gone);
        assert_eq!(ask(&mut progress, gone), ("over false".into(), 0));
    }

    #[test]
    fn progress_is_read_as_it_is_written() {
        let mut progress = Progress::default();
        for cursor in [0, 1 << 50, 0] {
            let text = progress.to_string();
            assert_eq!(text.parse(), Ok(progress.clone()), "{text}");
            ask(&mut progress, halves);
            progress.answered(cursor, halves);
        }
        for nonsense in ["", "2 -", "1", "1 x", "1 0-16384", "1 - x - a", "1 - 1 -"] {
            assert_eq!(nonsense.parse::<Progress>(), Err(()), "{nonsense}");
        }
    }
}
