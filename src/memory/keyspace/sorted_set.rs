//! Sorted sets.

use std::{mem, ops::Range};

use bytes::Bytes;
use indexmap::IndexMap;

use super::{
    capacity,
    ranking::{Ranking, Scored, order},
};

/// The estimate of what a member costs beside its bytes, which are held once.
const MEMBER_BYTES: usize = 128;

/// Members by score, and by bytes where scores are equal.
#[derive(Clone, Debug, Default)]
pub(in crate::memory) struct SortedSet {
    /// In an order that ZSCAN can follow, as that of the keys of a database.
    scores: IndexMap<Bytes, f64>,
    ranks: Ranking,
    bytes: usize,
}

impl SortedSet {
    pub(in crate::memory) fn len(&self) -> usize {
        self.ranks.len()
    }

    pub(in crate::memory) fn is_empty(&self) -> bool {
        self.scores.is_empty()
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
    pub(in crate::memory) fn iter(&self) -> impl DoubleEndedIterator<Item = &Scored> {
        self.range(0..self.len())
    }

    /// The members of these ranks, which have to exist.
    pub(in crate::memory) fn range(
        &self,
        ranks: Range<usize>,
    ) -> impl DoubleEndedIterator<Item = &Scored> {
        self.ranks.range(ranks)
    }

    /// The number of members for which this holds. It holds for the first ones up to some member, and for none after.
    pub(in crate::memory) fn partition_point(&self, holds: impl Fn(&Scored) -> bool) -> usize {
        self.ranks.partition_point(holds)
    }

    /// The member of a rank.
    pub(in crate::memory) fn get(&self, rank: usize) -> Option<&Scored> {
        self.ranks.get(rank)
    }

    pub(in crate::memory) fn first(&self) -> Option<&Scored> {
        self.get(0)
    }

    pub(in crate::memory) fn last(&self) -> Option<&Scored> {
        self.get(self.len().checked_sub(1)?)
    }

    /// Whether all members have the same score, and so are in the order of their bytes.
    pub(in crate::memory) fn has_one_score(&self) -> bool {
        let score = |member: Option<&Scored>| member.map(|(score, _)| *score);
        score(self.first()) == score(self.last())
    }

    pub(in crate::memory) fn rank(&self, member: &[u8]) -> Option<usize> {
        let score = self.score(member)?;
        Some(self.ranks.position(score, member))
    }

    /// Gives a member a score. Returns its score before. As in the block in which Redis holds few members, a
    /// negative zero becomes a positive one.
    pub(in crate::memory) fn insert(&mut self, member: Bytes, score: f64) -> Option<f64> {
        let score = score + 0.0;
        let Some(held) = self.scores.get_mut(&member) else {
            self.bytes += member.len() + MEMBER_BYTES;
            self.scores.insert(member.clone(), score);
            self.ranks.insert((score, member));
            return None;
        };
        let old = mem::replace(held, score);
        if old == score {
            return Some(old);
        }
        // The bytes of the member are those that the scores hold.
        let (_, member) = self.ranks.remove(self.ranks.position(old, &member));
        self.ranks.insert((score, member));
        Some(old)
    }

    /// Returns the score that the member had.
    pub(in crate::memory) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let score = self.scores.swap_remove(member)?;
        self.ranks.remove(self.ranks.position(score, member));
        self.bytes -= member.len() + MEMBER_BYTES;
        capacity::shrink_map(&mut self.scores);
        Some(score)
    }

    /// Removes the members of these ranks, and returns them in order.
    pub(in crate::memory) fn remove_ranks(&mut self, ranks: Range<usize>) -> Vec<Scored> {
        if ranks == (0..self.len()) {
            let all = mem::take(self);
            return all.iter().cloned().collect();
        }
        let removed: Vec<_> = ranks
            .clone()
            .map(|_| self.ranks.remove(ranks.start))
            .collect();
        for (_, member) in &removed {
            self.scores.swap_remove(member);
            self.bytes -= member.len() + MEMBER_BYTES;
        }
        capacity::shrink_map(&mut self.scores);
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
        assert_eq!(self.bytes, bytes.sum::<usize>());
        self.ranks.check_counts();
        assert_eq!(self.ranks.len(), self.scores.len());
        assert!(
            self.iter()
                .all(|(score, member)| self.score(member) == Some(*score))
        );
    }
}

impl PartialEq for SortedSet {
    fn eq(&self, other: &Self) -> bool {
        self.scores == other.scores
    }
}

impl FromIterator<(Bytes, f64)> for SortedSet {
    /// Of several scores of a member the last one is taken.
    fn from_iter<I: IntoIterator<Item = (Bytes, f64)>>(members: I) -> Self {
        let scores: IndexMap<Bytes, f64> = members.into_iter().collect();
        let mut sorted: Vec<_> = scores
            .iter()
            .map(|(member, score)| (*score, member.clone()))
            .collect();
        sorted
            .sort_unstable_by(|(score, member), (other, name)| order(*score, member, *other, name));
        let bytes = scores.keys().map(|member| member.len() + MEMBER_BYTES);
        let bytes = bytes.sum();
        Self {
            scores,
            ranks: sorted.into_iter().collect(),
            bytes,
        }
    }
}
