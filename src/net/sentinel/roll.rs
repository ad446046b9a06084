//! The sentinels of a service that are known.

use std::collections::BTreeMap;

use super::words::Words;
use crate::config::Address;

/// The sentinels that the settings name, and those that were learnt from them. A sentinel has one place,
/// whatever names lead to it: a name of the settings mostly is another word for an address that it announces.
#[derive(Clone, Debug)]
pub(super) struct Roll {
    /// With the sentinel's own name, once it has said it.
    named: Vec<(Address, Option<String>)>,
    learnt: BTreeMap<String, Address>,
}

/// A service with more sentinels than this has others that know as much.
const MOST: usize = 16;

impl Roll {
    pub(super) fn new(named: &[Address]) -> Self {
        Self {
            named: named.iter().map(|named| (named.clone(), None)).collect(),
            learnt: BTreeMap::new(),
        }
    }

    /// Every sentinel, those of the settings first.
    pub(super) fn all(&self) -> Vec<Address> {
        let named = self.named.iter().map(|(address, _)| address);
        named.chain(self.learnt.values()).cloned().collect()
    }

    /// Takes what one of them has said of itself and the others.
    pub(super) fn heard(&mut self, from: &Address, words: &Words) {
        if let Some(id) = &words.id {
            for (named, known) in &mut self.named {
                if named == from {
                    *known = Some(id.clone());
                }
            }
        }
        for (id, address) in words.others.iter().flatten() {
            let room = MOST.saturating_sub(self.named.len());
            if self.learnt.contains_key(id) || self.learnt.len() < room {
                self.learnt.insert(id.clone(), address.clone());
            }
        }
        let named = &self.named;
        let is_named = |id: &str, address: &Address| {
            let is_it = |known: &Option<String>| known.as_deref() == Some(id);
            named
                .iter()
                .any(|(named, known)| named == address || is_it(known))
        };
        self.learnt.retain(|id, address| !is_named(id, address));
    }

    /// Forgets learnt sentinels that none of those who have answered announces any more.
    pub(super) fn forget_unannounced(&mut self, answers: &[(Address, Words)]) {
        let has_told = |(_, words): &&(Address, Words)| words.others.is_some();
        if answers.iter().filter(has_told).count() * 2 <= self.all().len() {
            // The others may know more.
            return;
        }
        let is_announced = |id: &str| {
            answers.iter().any(|(_, words)| {
                let others = words.others.iter().flatten();
                words.id.as_deref() == Some(id) || others.clone().any(|(other, _)| other == id)
            })
        };
        self.learnt.retain(|id, _| is_announced(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Address {
        Address::of_host("10.0.0.1", port).expect("an address")
    }

    fn words(id: &str, others: &[(&str, u16)]) -> Words {
        let others = others.iter().map(|(id, port)| ((*id).into(), at(*port)));
        Words {
            id: Some(id.into()),
            others: Some(others.collect()),
            ..Words::default()
        }
    }

    #[test]
    fn sentinels_are_learnt_each_once_and_forgotten_when_none_announces_them() {
        let name = Address::of_host("sentinel.internal", 1).expect("an address");
        let mut roll = Roll::new(std::slice::from_ref(&name));
        roll.heard(&name, &words("a", &[("b", 2), ("c", 3)]));
        assert_eq!(roll.all(), [name.clone(), at(2), at(3)]);
        // The one that the settings name is at an address as well.
        roll.heard(&at(2), &words("b", &[("a", 1), ("c", 3)]));
        assert_eq!(roll.all(), [name.clone(), at(2), at(3)]);
        // One has moved.
        roll.heard(&at(2), &words("b", &[("a", 1), ("c", 4)]));
        assert_eq!(roll.all(), [name.clone(), at(2), at(4)]);

        let one = [(name.clone(), words("a", &[("b", 2)]))];
        roll.forget_unannounced(&one);
        assert_eq!(roll.all().len(), 3, "one answer is too little");
        let two = [one[0].clone(), (at(2), words("b", &[("a", 1)]))];
        roll.forget_unannounced(&two);
        assert_eq!(roll.all(), [name, at(2)]);
    }

    #[test]
    fn there_is_a_limit() {
        let mut roll = Roll::new(&[at(1)]);
        let ids: Vec<_> = (2..100).map(|port| (port.to_string(), port)).collect();
        let others: Vec<_> = ids.iter().map(|(id, port)| (&**id, *port)).collect();
        roll.heard(&at(1), &words("a", &others));
        assert_eq!(roll.all().len(), MOST);
    }
}
