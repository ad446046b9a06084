//! Lists.

use std::{collections::VecDeque, ops::RangeInclusive};

use bytes::Bytes;

use super::capacity;

/// The estimate of what an element costs beside its bytes.
const ELEMENT_BYTES: usize = 32;

#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::memory) struct List {
    items: VecDeque<Bytes>,
    bytes: usize,
}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::memory) enum End {
    Left,
    Right,
}

impl List {
    pub(in crate::memory) fn len(&self) -> usize {
        self.items.len()
    }

    pub(in crate::memory) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(in crate::memory) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(in crate::memory) fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = &Bytes> + ExactSizeIterator {
        self.items.iter()
    }

    pub(in crate::memory) fn get(&self, position: usize) -> Option<&Bytes> {
        self.items.get(position)
    }

    /// The elements at these positions, which have to exist.
    pub(in crate::memory) fn range(
        &self,
        positions: RangeInclusive<usize>,
    ) -> impl Iterator<Item = &Bytes> {
        self.items.range(positions)
    }

    pub(in crate::memory) fn push(&mut self, end: End, item: Bytes) {
        self.bytes += cost(&item);
        match end {
            End::Left => self.items.push_front(item),
            End::Right => self.items.push_back(item),
        }
    }

    pub(in crate::memory) fn pop(&mut self, end: End) -> Option<Bytes> {
        let item = match end {
            End::Left => self.items.pop_front(),
            End::Right => self.items.pop_back(),
        }?;
        self.bytes -= cost(&item);
        capacity::shrink_queue(&mut self.items);
        Some(item)
    }

    /// Replaces the element at a position. Tells whether there was one.
    pub(in crate::memory) fn set(&mut self, position: usize, item: Bytes) -> bool {
        let Some(place) = self.items.get_mut(position) else {
            return false;
        };
        self.bytes = self.bytes - cost(place) + cost(&item);
        *place = item;
        true
    }

    /// Puts an element at a position, before the one that is there.
    pub(in crate::memory) fn insert(&mut self, position: usize, item: Bytes) {
        self.bytes += cost(&item);
        self.items.insert(position, item);
    }

    /// Keeps the elements at these positions alone, as far as they exist. Returns how many were removed.
    pub(in crate::memory) fn trim(&mut self, start: usize, end: usize) -> usize {
        let before = self.items.len();
        let removed = self.items.drain(end.min(before)..);
        self.bytes -= removed.map(|item| cost(&item)).sum::<usize>();
        let removed = self.items.drain(..start.min(self.items.len()));
        self.bytes -= removed.map(|item| cost(&item)).sum::<usize>();
        capacity::shrink_queue(&mut self.items);
        before - self.items.len()
    }

    /// Removes so many elements of this value at most, beginning at an end. Returns how many there were.
    pub(in crate::memory) fn remove(&mut self, from: End, most: usize, value: &Bytes) -> usize {
        let equal = self.items.iter().enumerate();
        let equal = equal.filter(|(_, item)| *item == value);
        let equal = equal.map(|(position, _)| position);
        // No more are looked for than are removed: there may be many behind.
        let mut positions: Vec<usize> = match from {
            End::Left => equal.take(most).collect(),
            End::Right => equal.rev().take(most).collect(),
        };
        positions.sort_unstable();
        self.bytes -= positions.len() * cost(value);
        if let [position] = positions[..] {
            self.items.remove(position);
        } else if !positions.is_empty() {
            self.remove_all(&positions);
        }
        capacity::shrink_queue(&mut self.items);
        positions.len()
    }

    /// Removes the elements at these positions, which are in ascending order.
    fn remove_all(&mut self, positions: &[usize]) {
        let (mut removed, mut position) = (positions.iter().peekable(), 0);
        self.items.retain(|_| {
            let is_removed = removed.next_if_eq(&&position).is_some();
            position += 1;
            !is_removed
        });
    }

    #[cfg(test)]
    pub(super) fn check_counts(&self) {
        assert_eq!(self.bytes, self.items.iter().map(cost).sum::<usize>());
    }
}

fn cost(item: &Bytes) -> usize {
    item.len() + ELEMENT_BYTES
}

impl FromIterator<Bytes> for List {
    fn from_iter<I: IntoIterator<Item = Bytes>>(items: I) -> Self {
        let items: VecDeque<Bytes> = items.into_iter().collect();
        let bytes = items.iter().map(cost).sum();
        Self { items, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_elements() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut list = List::default();
        for _ in 0..2000 {
            let item = Bytes::from(vec![b'x'; random.usize(0..3)]);
            let end = [End::Left, End::Right][random.usize(0..2)];
            let position = random.usize(0..=list.len());
            match random.u8(0..12) {
                0..6 => list.push(end, item),
                6 => drop(list.pop(end)),
                7 => drop(list.set(position, item)),
                8 => list.insert(position, item),
                9 => drop(list.remove(end, random.usize(0..3), &item)),
                10 if random.u8(0..9) == 0 => drop(list.trim(random.usize(0..3), list.len() / 2)),
                _ => assert_eq!(list.get(position).is_some(), position < list.len()),
            }
            assert_eq!(list.bytes(), list.iter().map(cost).sum::<usize>());
        }
    }
}
