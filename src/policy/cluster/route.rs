//! Where a command goes.

use super::{
    keyless::{Keyless, Merge, Unroutable, keyless},
    split::Split,
};
use crate::policy::{
    command::{KeyRange, keys},
    slots::Slot,
};

/// Where a command goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// To the node of this slot.
    Slot(Slot),
    /// Its keys are in several slots, and it is split.
    Split(Split),
    /// Two of its keys are in different slots, and it cannot be split.
    Crossed(KeyPlace, KeyPlace),
    /// To each primary, and the replies become one.
    EachPrimary(Merge),
    /// To any primary.
    Any,
    /// Nowhere, for this reason.
    Refused(Unroutable),
}

/// A key among commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyPlace {
    /// The number of its command in the pipeline; 0 for a command alone.
    pub(crate) command: usize,
    /// The number of its word in the command, where the name is 0.
    pub(crate) word: usize,
    pub(crate) slot: Slot,
}

impl Route {
    /// The route of a command by its words, the name first.
    ///
    /// Called for every command, so it allocates nothing. `survey` tells where the keys of a command are that is on no list,
    /// by its name, if the server has said it.
    pub(crate) fn of<'a>(
        words: impl Iterator<Item = &'a [u8]> + Clone,
        survey: impl FnOnce(&[u8]) -> Option<KeyRange>,
    ) -> Self {
        let mut keys = keys(words.clone(), survey);
        let place = |(word, key): (usize, &[u8])| KeyPlace {
            command: 0,
            word,
            slot: Slot::of(key),
        };
        let Some(first) = keys.next().map(place) else {
            return match keyless(words) {
                Keyless::Any => Self::Any,
                Keyless::EachPrimary(merge) => Self::EachPrimary(merge),
                Keyless::Slot(slot) => Self::Slot(slot),
                Keyless::Refused(reason) => Self::Refused(reason),
            };
        };
        match keys.map(place).find(|other| other.slot != first.slot) {
            None => Self::Slot(first.slot),
            Some(second) => Split::of(words).map_or(Self::Crossed(first, second), Self::Split),
        }
    }
}

/// Where an atomic pipeline goes, which runs on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Atomic {
    /// To the node of this slot.
    Slot(Slot),
    /// No command has a key: to any primary.
    Any,
    /// Two keys, of one command or of two, are in different slots.
    Crossed(KeyPlace, KeyPlace),
    /// Nowhere, because of the command of this number.
    Refused { command: usize, reason: Unroutable },
}

impl Atomic {
    /// The route of all commands of an atomic pipeline together, by the words of each.
    pub(crate) fn of<'a, W: Iterator<Item = &'a [u8]> + Clone>(
        commands: impl Iterator<Item = W>,
        survey: impl Fn(&[u8]) -> Option<KeyRange>,
    ) -> Self {
        let mut first: Option<KeyPlace> = None;
        for (command, words) in commands.enumerate() {
            let mut has_key = false;
            for (word, key) in keys(words.clone(), &survey) {
                has_key = true;
                let place = KeyPlace {
                    command,
                    word,
                    slot: Slot::of(key),
                };
                match first {
                    None => first = Some(place),
                    Some(first) if first.slot != place.slot => return Self::Crossed(first, place),
                    Some(_) => {}
                }
            }
            if has_key {
                continue;
            }
            match keyless(words) {
                Keyless::Any => {}
                Keyless::EachPrimary(_) => {
                    let reason = Unroutable::EachNode;
                    return Self::Refused { command, reason };
                }
                // Without a key, the word of the slot stands for it.
                Keyless::Slot(slot) => {
                    let place = KeyPlace {
                        command,
                        word: 2,
                        slot,
                    };
                    match first {
                        None => first = Some(place),
                        Some(first) if first.slot != slot => return Self::Crossed(first, place),
                        Some(_) => {}
                    }
                }
                Keyless::Refused(reason) => return Self::Refused { command, reason },
            }
        }
        first.map_or(Self::Any, |first| Self::Slot(first.slot))
    }
}
