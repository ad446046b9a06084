//! Sorted sets.

use std::{cmp::Ordering, mem, ops::Range};

use bytes::Bytes;
use indexmap::IndexMap;

/// The estimate of what a member costs beside its bytes, which are held once.
const MEMBER_BYTES: usize = 104;

/// Members by score, and by bytes where scores are equal.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::memory) struct SortedSet {
    /// In an order that ZSCAN can follow, as that of the keys of a database.
    scores: IndexMap<Bytes, f64>,
    /// In order. An insertion moves the later ones, which is fast for as many as fit the cache.
    ranks: Vec<(f64, Bytes)>,
    bytes: usize,
}

impl SortedSet {
    pub(in crate::memory) fn len(&self) -> usize {
        self.ranks.len()
    }

    pub(in crate::memory) fn is_empty(&self) -> bool {
        self.ranks.is_empty()
    }

    /// Whether Redis, by its default settings, holds as many members in one block.
    pub(in crate::memory) fn is_small(&self) -> bool {
        const SMALL: usize = 128;
        self.len() <= SMALL
    }

    pub(in crate::memory) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(in crate::memory) fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }

    /// All members in order.
    pub(in crate::memory) fn ranks(&self) -> &[(f64, Bytes)] {
        &self.ranks
    }

    /// Whether all members have the same score, and so are in the order of their bytes.
    pub(in crate::memory) fn has_one_score(&self) -> bool {
        let (first, last) = (self.ranks.first(), self.ranks.last());
        first.map(|(score, _)| score) == last.map(|(score, _)| score)
    }

    pub(in crate::memory) fn rank(&self, member: &[u8]) -> Option<usize> {
        let score = self.score(member)?;
        self.position(score, member).ok()
    }

    /// Gives a member a score. Returns its score before. As in the block in which Redis holds few members, a
    /// negative zero becomes a positive one.
    pub(in crate::memory) fn insert(&mut self, member: Bytes, score: f64) -> Option<f64> {
        let score = score + 0.0;
        let Some(held) = self.scores.get_mut(&member) else {
            self.bytes += member.len() + MEMBER_BYTES;
            self.scores.insert(member.clone(), score);
            self.place(score, member);
            return None;
        };
        let old = mem::replace(held, score);
        if let Ok(position) = self.position(old, &member) {
            // The bytes of the member are those that the scores hold.
            let (_, member) = self.ranks.remove(position);
            self.place(score, member);
        }
        Some(old)
    }

    fn place(&mut self, score: f64, member: Bytes) {
        if let Err(position) = self.position(score, &member) {
            self.ranks.insert(position, (score, member));
        }
    }

    /// Returns the score that the member had.
    pub(in crate::memory) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let score = self.scores.swap_remove(member)?;
        if let Ok(position) = self.position(score, member) {
            self.ranks.remove(position);
        }
        self.bytes -= member.len() + MEMBER_BYTES;
        Some(score)
    }

    /// Removes the members at these ranks, and returns them in order.
    pub(in crate::memory) fn remove_ranks(&mut self, ranks: Range<usize>) -> Vec<(f64, Bytes)> {
        let removed: Vec<_> = self.ranks.drain(ranks).collect();
        for (_, member) in &removed {
            self.scores.swap_remove(member);
            self.bytes -= member.len() + MEMBER_BYTES;
        }
        removed
    }

    /// The member at a position of the order that ZSCAN follows, and its score.
    pub(in crate::memory) fn at(&self, position: usize) -> Option<(&Bytes, f64)> {
        let (member, score) = self.scores.get_index(position)?;
        Some((member, *score))
    }

    #[cfg(test)]
    pub(super) fn check_counts(&self) {
        let bytes = self.scores.keys().map(|member| member.len() + MEMBER_BYTES);
        assert_eq!(self.bytes, bytes.sum());
        let again: Self = self.scores.clone().into_iter().collect();
        assert_eq!(self.ranks, again.ranks);
    }

    fn position(&self, score: f64, member: &[u8]) -> Result<usize, usize> {
        self.ranks
            .binary_search_by(|(other, name)| order(*other, name, score, member))
    }
}

impl FromIterator<(Bytes, f64)> for SortedSet {
    /// Of several scores of a member the last one is taken.
    fn from_iter<I: IntoIterator<Item = (Bytes, f64)>>(members: I) -> Self {
        let scores: IndexMap<Bytes, f64> = members.into_iter().collect();
        let mut ranks: Vec<_> = scores
            .iter()
            .map(|(member, score)| (*score, member.clone()))
            .collect();
        ranks
            .sort_unstable_by(|(score, member), (other, name)| order(*score, member, *other, name));
        let bytes = scores.keys().map(|member| member.len() + MEMBER_BYTES);
        let bytes = bytes.sum();
        Self {
            scores,
            ranks,
            bytes,
        }
    }
}

/// Scores are never NaN, and the two zeros are equal.
fn order(score: f64, member: &[u8], other: f64, name: &[u8]) -> Ordering {
    let by_score = score.partial_cmp(&other).unwrap_or(Ordering::Equal);
    by_score.then_with(|| member.cmp(name))
}
