//! Gives back what collections hold in reserve after most of their elements were removed: the bounds on memory count
//! elements, and not places for them.

use std::{collections::VecDeque, hash::Hash};

use indexmap::{IndexMap, IndexSet};

/// As many places are not worth a move.
const FEW: usize = 64;
/// One that is this empty is moved to a quarter of its places, so that what it takes per removal is bounded.
const EMPTY: usize = 8;

/// The places that a collection should have, if it has too many.
fn wanted(len: usize, capacity: usize) -> Option<usize> {
    (capacity > FEW && len <= capacity / EMPTY).then_some(capacity / (EMPTY / 2))
}

pub(super) fn shrink_map<K: Hash + Eq, V>(map: &mut IndexMap<K, V>) {
    if let Some(capacity) = wanted(map.len(), map.capacity()) {
        map.shrink_to(capacity);
    }
}

pub(super) fn shrink_set<T: Hash + Eq>(set: &mut IndexSet<T>) {
    if let Some(capacity) = wanted(set.len(), set.capacity()) {
        set.shrink_to(capacity);
    }
}

pub(super) fn shrink_queue<T>(queue: &mut VecDeque<T>) {
    if let Some(capacity) = wanted(queue.len(), queue.capacity()) {
        queue.shrink_to(capacity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_go_with_elements() {
        let mut map: IndexMap<u32, ()> = (0..100_000).map(|key| (key, ())).collect();
        let mut moves = 0;
        while let Some((key, ())) = map.pop() {
            let before = map.capacity();
            shrink_map(&mut map);
            moves += u32::from(map.capacity() != before);
            assert!(
                map.capacity() <= FEW || map.len() * EMPTY * 2 >= map.capacity(),
                "{key}"
            );
        }
        assert!(moves > 0 && moves < 10, "{moves} moves");
    }
}
