//! Which servers a cluster has, and which of them serves each slot.

use std::{collections::HashMap, fmt, hash::Hash, ops::RangeInclusive, sync::Arc};

use crate::policy::slots::{Slot, ranges, write_range};

/// What a node says of its cluster. `A` is an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topology<A> {
    /// The servers that serve slots, in the order of their first slots, and what they serve.
    pub(crate) shards: Vec<Shard<A>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shard<A> {
    pub(crate) primary: A,
    pub(crate) replicas: Vec<A>,
    /// In order.
    pub(crate) slots: Vec<RangeInclusive<u16>>,
}

impl<A: Hash + Eq + Clone + fmt::Display> Topology<A> {
    /// The shards of ranges of slots, each with its primary and its replicas, in any order. What is beyond the last slot is left out.
    pub(crate) fn new(ranges: impl IntoIterator<Item = (RangeInclusive<u16>, A, Vec<A>)>) -> Self {
        let mut by_primary = HashMap::<A, Shard<A>>::new();
        for (slots, primary, mut replicas) in ranges {
            // Nodes list them in any order.
            replicas.sort_by_cached_key(A::to_string);
            let shard = by_primary.entry(primary.clone());
            let shard = shard.or_insert_with(|| Shard {
                primary,
                replicas,
                slots: Vec::new(),
            });
            let last = (*slots.end()).min(Slot::COUNT - 1);
            if *slots.start() <= last {
                shard.slots.push(*slots.start()..=last);
            }
        }
        let mut shards: Vec<_> = by_primary.into_values().collect();
        for shard in &mut shards {
            shard.slots.sort_unstable_by_key(|slots| *slots.start());
        }
        shards.retain(|shard| !shard.slots.is_empty());
        shards.sort_by_key(|shard| *shard.slots[0].start());
        Self { shards }
    }

    /// The same with other addresses.
    pub(crate) fn map(self, address: impl Fn(A) -> A) -> Self {
        let shards = self.shards.into_iter().map(|shard| Shard {
            primary: address(shard.primary),
            replicas: shard.replicas.into_iter().map(&address).collect(),
            slots: shard.slots,
        });
        Self {
            shards: shards.collect(),
        }
    }

    /// For each slot the position of its shard.
    pub(crate) fn owners(&self) -> Vec<Option<u16>> {
        let mut owners = vec![None; usize::from(Slot::COUNT)];
        for (at, shard) in (0..).zip(&self.shards) {
            for slots in &shard.slots {
                owners[usize::from(*slots.start())..=usize::from(*slots.end())].fill(Some(at));
            }
        }
        owners
    }
}

/// How much of a cluster can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shards {
    /// Its nodes have not been learnt yet.
    Unknown,
    Whole,
    /// Some slots are served by none, or their node is down, for this reason.
    Part(Arc<str>),
    /// All are.
    None(Arc<str>),
}

/// One answer to the question for the topology.
#[derive(Clone, Debug)]
pub(crate) struct Told<A> {
    /// The epoch of the cluster that the node knows; 0 if it does not tell.
    pub(crate) epoch: u64,
    pub(crate) topology: Topology<A>,
}

/// The answer to believe: that of the newest epoch, if more than half of those who were asked give it; otherwise one of the
/// newest epoch, and of these the one that most give. A node that was cut off from the others knows an
/// older epoch, and a cluster in the middle of a change differs from node to node for moments.
pub(crate) fn agreed<A: Eq + Clone>(told: Vec<Told<A>>) -> Option<Told<A>> {
    let all = told.len();
    let votes = |one: &Told<A>| {
        let same = told.iter().filter(|other| other.topology == one.topology);
        same.count()
    };
    let newest = told.iter().map(|one| one.epoch).max()?;
    let best = told.iter().max_by_key(|one| {
        let votes = votes(one);
        let has_majority = 2 * votes > all;
        // A majority that has not heard of the last election is behind it.
        (one.epoch == newest && has_majority, one.epoch, votes)
    })?;
    Some(best.clone())
}

/// Slots as people write them: `0-100, 7000`.
pub(crate) struct SlotList(Vec<RangeInclusive<u16>>);

impl SlotList {
    /// The slots, which are in order, in as few ranges as can be.
    pub(crate) fn of(slots: impl IntoIterator<Item = u16>) -> Self {
        Self(ranges(slots))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The longest list that is written out. In a cluster that was reshuffled often there are thousands of ranges.
const SHOWN: usize = 8;

impl fmt::Display for SlotList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, slots) in self.0.iter().take(SHOWN).enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            write_range(f, slots)?;
        }
        match self.0.len().checked_sub(SHOWN) {
            Some(1..) => f.write_str(" …"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Ranges = Vec<(RangeInclusive<u16>, &'static str, Vec<&'static str>)>;

    fn halves(first: &'static str, second: &'static str) -> Ranges {
        vec![(8192..=16383, second, vec![]), (0..=8191, first, vec!["r"])]
    }

    fn told(epoch: u64, ranges: Ranges) -> Told<&'static str> {
        let topology = Topology::new(ranges);
        Told { epoch, topology }
    }

    #[test]
    fn ranges_of_one_primary_are_one_shard() {
        let topology = Topology::new([
            (5..=5, "b", vec!["y", "x"]),
            (10..=20_000, "a", vec![]),
            (0..=3, "a", vec![]),
            (16_384..=16_385, "c", vec![]),
        ]);
        let primaries = topology.shards.iter().map(|shard| shard.primary);
        assert_eq!(primaries.collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(topology.shards[0].slots, [0..=3, 10..=16383]);
        assert_eq!(topology.shards[1].replicas, ["x", "y"]);
        let owners = topology.owners();
        assert_eq!(owners.len(), 16_384);
        assert_eq!(
            [0, 3, 4, 5, 9, 10, 16_383].map(|slot: usize| owners[slot]),
            [Some(0), Some(0), None, Some(1), None, Some(0), Some(0)]
        );
        let nobody = (0..Slot::COUNT).filter(|slot| owners[usize::from(*slot)].is_none());
        assert_eq!(SlotList::of(nobody).to_string(), "4, 6-9");
    }

    #[test]
    fn a_stale_node_is_not_believed() {
        let of = |told: Vec<Told<&'static str>>| {
            let agreed = agreed(told).expect("an answer");
            agreed.topology.shards[0].primary
        };
        let (old, new) = (
            |epoch| told(epoch, halves("old", "b")),
            |epoch| told(epoch, halves("new", "b")),
        );
        assert_eq!(of(vec![old(6), new(7), new(7)]), "new");
        assert_eq!(of(vec![new(7), old(6), old(6)]), "new", "they lag behind");
        assert_eq!(of(vec![old(7), new(7), new(7)]), "new", "by votes");
        assert_eq!(of(vec![old(0), new(0), new(0)]), "new", "no epochs");
        assert_eq!(of(vec![old(3)]), "old");
        assert!(agreed::<&str>(vec![]).is_none());
    }

    #[test]
    fn long_lists_are_cut() {
        let every_second = SlotList::of((0..100).step_by(2));
        assert_eq!(every_second.to_string(), "0, 2, 4, 6, 8, 10, 12, 14 …");
        assert!(SlotList::of([]).is_empty());
    }
}
