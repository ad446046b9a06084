//! Commands whose keys are in several slots, as one command per slot.

use crate::policy::{
    command::{Upper, keys},
    slots::Slot,
};

/// A command that is split. Its parts run on their own: for other callers it is not atomic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Split {
    /// `MGET`: a value for each key.
    Values,
    /// `JSON.MGET`: the same, and the path is the last word of each part.
    Documents,
    /// `MSET`: a value behind each key.
    Pairs,
    /// `DEL`, `UNLINK`, `EXISTS`, `TOUCH`: the number of keys.
    Count,
}

/// A part of a split command: a command of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The node of the slot, as the caller numbers them.
    pub(crate) node: usize,
    pub(crate) slot: Slot,
    /// The places of its keys among all keys of the whole command, in their order.
    pub(crate) keys: Vec<usize>,
}

impl Split {
    /// How a command is split, by its words; `None` if it is not. `MSETNX` and its like set all keys or none.
    pub(crate) fn of<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let name = Upper::of(words.next()?);
        match name.as_bytes() {
            b"MGET" => Some(Self::Values),
            b"JSON.MGET" => Some(Self::Documents),
            // A value is missing otherwise.
            b"MSET" if words.count().is_multiple_of(2) => Some(Self::Pairs),
            b"DEL" | b"EXISTS" | b"TOUCH" | b"UNLINK" => Some(Self::Count),
            _ => None,
        }
    }

    /// The words of each key, itself included.
    fn words_per_key(self) -> usize {
        match self {
            Self::Pairs => 2,
            Self::Values | Self::Documents | Self::Count => 1,
        }
    }

    /// The words behind all keys.
    fn tail(self) -> usize {
        match self {
            Self::Documents => 1,
            Self::Values | Self::Pairs | Self::Count => 0,
        }
    }

    /// A part for each slot of the keys, those of a node side by side. (Servers refuse a command across slots, even if they
    /// serve both.) `node_of` numbers the nodes.
    pub(crate) fn parts<'a>(
        self,
        words: impl Iterator<Item = &'a [u8]> + Clone,
        node_of: impl Fn(Slot) -> usize,
    ) -> Vec<Part> {
        let keys = keys(words, |_| None).enumerate();
        let mut keys: Vec<_> = keys.map(|(at, (_, key))| (Slot::of(key), at)).collect();
        keys.sort_unstable();
        let part = |of_slot: &[(Slot, usize)]| {
            let (slot, _) = of_slot[0];
            Part {
                node: node_of(slot),
                slot,
                keys: of_slot.iter().map(|(_, at)| *at).collect(),
            }
        };
        let mut parts: Vec<_> = keys
            .chunk_by(|(slot, _), (next, _)| slot == next)
            .map(part)
            .collect();
        parts.sort_by_key(|part| part.node);
        parts
    }

    /// The words of a part, of which `whole` are those of the whole command.
    pub(crate) fn words<'a>(
        self,
        part: &Part,
        whole: &[&'a [u8]],
    ) -> impl Iterator<Item = &'a [u8]> {
        let step = self.words_per_key();
        let (name, behind) = whole.split_at(1.min(whole.len()));
        let tail = &behind[behind.len().saturating_sub(self.tail())..];
        let of_key = move |at: &usize| &behind[at * step..(at + 1) * step];
        let keys = part.keys.iter().flat_map(of_key);
        name.iter().chain(keys).chain(tail).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn parts_of(command: &str) -> Vec<(usize, String)> {
        let whole: Vec<_> = command.split(' ').map(str::as_bytes).collect();
        let split = Split::of(whole.iter().copied()).expect("a command that is split");
        let node_of = |slot: Slot| usize::from(slot.number() / 8_192);
        let parts = split.parts(whole.iter().copied(), node_of);
        let text = |part: &Part| {
            let words: Vec<_> = split.words(part, &whole).collect();
            String::from_utf8(words.join(&b' ')).expect("text")
        };
        parts.iter().map(|part| (part.node, text(part))).collect()
    }

    #[track_caller]
    fn assert_parts(command: &str, expected: &[(usize, &str)]) {
        let parts = parts_of(command);
        let parts: Vec<_> = parts.iter().map(|(node, part)| (*node, &**part)).collect();
        assert_eq!(parts, expected, "{command}");
    }

    /// The slots of a, b and c are 15495, 3300 and 7365.
    #[test]
    fn each_part_is_a_command_of_its_own() {
        assert_parts(
            "MGET a b {a}2 c b",
            &[(0, "MGET b b"), (0, "MGET c"), (1, "MGET a {a}2")],
        );
        assert_parts("mset a 1 b 2", &[(0, "mset b 2"), (1, "mset a 1")]);
        assert_parts("UNLINK a b", &[(0, "UNLINK b"), (1, "UNLINK a")]);
        assert_parts(
            "JSON.MGET a b $.x",
            &[(0, "JSON.MGET b $.x"), (1, "JSON.MGET a $.x")],
        );
    }

    #[test]
    fn what_sets_all_keys_or_none_is_not_split() {
        for command in [
            "MSETNX a 1 b 2",
            "MSET a 1 b",
            "RENAME a b",
            "PFCOUNT a b",
            "MSETEX 2 a 1 b 2",
        ] {
            let words = command.split(' ').map(str::as_bytes);
            assert_eq!(Split::of(words), None, "{command}");
        }
    }

    proptest! {
        #[test]
        fn each_key_is_in_the_part_of_its_slot(
            name in select(["MGET", "DEL", "EXISTS", "TOUCH", "UNLINK"].as_slice()),
            names in vec("[ab]{0,2}(\\{[ab]\\})?", 1..40),
            nodes in 1_usize..4,
        ) {
            let mut whole = vec![name.as_bytes()];
            whole.extend(names.iter().map(String::as_bytes));
            let split = Split::of(whole.iter().copied()).expect("it is split");
            let parts = split.parts(whole.iter().copied(), |slot| slot.index() % nodes);
            let mut seen = Vec::new();
            for part in &parts {
                prop_assert_eq!(part.node, part.slot.index() % nodes);
                let words: Vec<_> = split.words(part, &whole).collect();
                prop_assert_eq!(words[0], name.as_bytes());
                prop_assert!(words[1..].iter().all(|key| Slot::of(key) == part.slot));
                prop_assert!(part.keys.is_sorted());
                prop_assert_eq!(words.len(), part.keys.len() + 1);
                seen.extend(part.keys.iter().copied());
            }
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(0..names.len()));
            prop_assert!(parts.is_sorted_by_key(|part| part.node));
            let mut slots: Vec<_> = parts.iter().map(|part| part.slot).collect();
            slots.sort_unstable();
            prop_assert!(slots.is_sorted_by(|one, next| one < next));
        }
    }
}
