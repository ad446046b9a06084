//! Sets.

use bytes::Bytes;
use indexmap::IndexSet;

use super::capacity;
use crate::memory::number;

/// The estimate of what a member costs beside its bytes.
const MEMBER_BYTES: usize = 48;

// Bounds of Redis by default: of integers that it holds in order, and of members in one block.
const INTEGERS: usize = 512;
const SMALL: usize = 128;

/// Members in an order that SSCAN can follow: a removal moves later members to an earlier position, so a walk
/// from the last member to the first misses none that stays.
///
/// A few integers are in their order, as in Redis, for as long as nothing else was a member. No walk stops in
/// the middle of so few.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::memory) struct Set {
    members: IndexSet<Bytes>,
    is_in_order: bool,
    bytes: usize,
}

impl Default for Set {
    fn default() -> Self {
        Self {
            members: IndexSet::new(),
            is_in_order: true,
            bytes: 0,
        }
    }
}

impl Set {
    pub(in crate::memory) fn len(&self) -> usize {
        self.members.len()
    }

    pub(in crate::memory) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether Redis, by its default settings, holds as many members in one block.
    pub(in crate::memory) fn is_small(&self) -> bool {
        self.is_in_order || self.len() <= SMALL
    }

    pub(in crate::memory) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(in crate::memory) fn contains(&self, member: &[u8]) -> bool {
        self.members.contains(member)
    }

    pub(in crate::memory) fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = &Bytes> + ExactSizeIterator {
        self.members.iter()
    }

    /// The member at a position of the order that SSCAN follows.
    pub(in crate::memory) fn at(&self, position: usize) -> Option<&Bytes> {
        self.members.get_index(position)
    }

    /// Tells whether the member is new.
    pub(in crate::memory) fn insert(&mut self, member: Bytes) -> bool {
        if self.contains(&member) {
            return false;
        }
        self.bytes += member.len() + MEMBER_BYTES;
        match self.place(&member) {
            Some(position) => self.members.shift_insert(position, member),
            None => self.members.insert(member),
        };
        true
    }

    /// The position of a new member among integers.
    fn place(&mut self, member: &[u8]) -> Option<usize> {
        let number = number::integer(member).filter(|_| self.len() < INTEGERS);
        self.is_in_order &= number.is_some();
        let number = number.filter(|_| self.is_in_order)?;
        let found = self
            .members
            .binary_search_by(|other| number::integer(other).cmp(&Some(number)));
        found.err()
    }

    /// Tells whether there was such a member.
    pub(in crate::memory) fn remove(&mut self, member: &[u8]) -> bool {
        let position = self.members.get_index_of(member);
        position.is_some_and(|position| self.take(position).is_some())
    }

    /// Removes the member at a position.
    pub(in crate::memory) fn take(&mut self, position: usize) -> Option<Bytes> {
        let member = if self.is_small() {
            self.members.shift_remove_index(position)
        } else {
            self.members.swap_remove_index(position)
        }?;
        self.bytes -= member.len() + MEMBER_BYTES;
        capacity::shrink_set(&mut self.members);
        Some(member)
    }

    #[cfg(test)]
    pub(super) fn check_counts(&self) {
        let bytes = self
            .members
            .iter()
            .map(|member| member.len() + MEMBER_BYTES);
        assert_eq!(self.bytes, bytes.sum::<usize>());
    }
}

impl FromIterator<Bytes> for Set {
    fn from_iter<I: IntoIterator<Item = Bytes>>(members: I) -> Self {
        let mut set = Self::default();
        for member in members {
            set.insert(member);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(set: &Set) -> Vec<&str> {
        let text = |member| str::from_utf8(member).expect("text");
        set.iter().map(|member| text(member)).collect()
    }

    #[test]
    fn integers_are_in_order_until_something_else_is_a_member() {
        let mut set: Set = ["10", "-3", "9", "10"]
            .map(Bytes::from)
            .into_iter()
            .collect();
        assert_eq!(members(&set), ["-3", "9", "10"]);
        set.insert("x".into());
        set.insert("0".into());
        set.remove(b"x");
        set.insert("1".into());
        assert_eq!(members(&set), ["-3", "9", "10", "0", "1"]);
    }

    #[test]
    fn an_empty_set_has_no_bytes() {
        let mut set: Set = (0..600).map(|n: i32| Bytes::from(n.to_string())).collect();
        assert!(!set.is_small());
        for n in 0..600 {
            assert!(set.remove(n.to_string().as_bytes()));
        }
        assert_eq!((set.len(), set.bytes()), (0, 0));
    }
}
