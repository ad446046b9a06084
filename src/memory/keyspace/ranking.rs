//! Members in order, with their ranks: a B-tree whose nodes know how many members are below them, so that all it
//! does takes logarithmic time.

use std::{cmp::Ordering, mem, ops::Range};

use bytes::Bytes;

/// A member, after its score.
pub(in crate::memory) type Scored = (f64, Bytes);

/// The most members of a leaf, and children of another node.
const MOST: usize = 64;
/// A node with fewer joins one beside it, if they fit in one with some room left.
const FEW: usize = MOST / 4;
const JOINED: usize = MOST / 4 * 3;

/// Members by score, and by bytes where scores are equal.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranking {
    root: Node,
    length: usize,
}

#[derive(Clone, Debug)]
enum Node {
    Leaf(Vec<Scored>),
    /// All are of the same height.
    Inner(Vec<Child>),
}

#[derive(Clone, Debug)]
struct Child {
    /// Not after any of its members, and after all those of the children before. It need not be a member any more,
    /// and means nothing at the first child.
    first: Scored,
    /// The number of members below.
    count: usize,
    node: Node,
}

/// A node that was split off another one, with the first member below it.
type Split = (Scored, Node);

impl Ranking {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn get(&self, rank: usize) -> Option<&Scored> {
        let (mut node, mut rank) = (&self.root, rank);
        loop {
            match node {
                Node::Leaf(members) => return members.get(rank),
                Node::Inner(children) => {
                    let (at, within) = child_at(children, rank);
                    (node, rank) = (&children.get(at)?.node, within);
                }
            }
        }
    }

    /// The number of members for which this holds. It holds for the first ones up to some member, and for none after.
    pub(super) fn partition_point(&self, holds: impl Fn(&Scored) -> bool) -> usize {
        let (mut node, mut before) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(members) => return before + members.partition_point(&holds),
                Node::Inner(children) => {
                    let at = child_where(children, &holds);
                    before += children[..at]
                        .iter()
                        .map(|child| child.count)
                        .sum::<usize>();
                    node = &children[at].node;
                }
            }
        }
    }

    /// The rank of a member.
    pub(super) fn position(&self, score: f64, member: &[u8]) -> usize {
        self.partition_point(|(other, name)| order(*other, name, score, member).is_lt())
    }

    /// The members of these ranks, which have to exist.
    pub(super) fn range(&self, ranks: Range<usize>) -> impl DoubleEndedIterator<Item = &Scored> {
        let mut slices = Vec::new();
        self.root.slices(ranks, &mut slices);
        slices.into_iter().flatten()
    }

    /// Adds a member that is not there.
    pub(super) fn insert(&mut self, member: Scored) {
        self.length += 1;
        if let Some((first, right)) = self.root.insert(member) {
            let left = mem::take(&mut self.root);
            let nodes = [left, right].map(|node| Child::new(first.clone(), node));
            self.root = Node::Inner(nodes.into());
        }
    }

    /// Removes the member of a rank, which has to exist.
    pub(super) fn remove(&mut self, rank: usize) -> Scored {
        self.length -= 1;
        let removed = self.root.remove(rank);
        while let Node::Inner(children) = &mut self.root
            && children.len() <= 1
        {
            self.root = children.pop().map(|child| child.node).unwrap_or_default();
        }
        removed
    }

    /// Holds the counts against the members, and the members against their order.
    #[cfg(test)]
    pub(super) fn check_counts(&self) {
        assert_eq!(self.root.check_counts(), self.length);
        let all: Vec<_> = self.range(0..self.length).collect();
        assert_eq!(all.len(), self.length);
        assert!(all.is_sorted_by(|one, other| order(one.0, &one.1, other.0, &other.1).is_lt()));
    }
}

impl FromIterator<Scored> for Ranking {
    /// The members are different ones. They are added fastest if they are in order.
    fn from_iter<I: IntoIterator<Item = Scored>>(members: I) -> Self {
        let mut ranking = Self::default();
        for member in members {
            ranking.insert(member);
        }
        ranking
    }
}

impl Default for Node {
    fn default() -> Self {
        Self::Leaf(Vec::new())
    }
}

impl Child {
    fn new(first: Scored, node: Node) -> Self {
        let count = node.count();
        Self { first, count, node }
    }
}

impl Node {
    fn count(&self) -> usize {
        match self {
            Self::Leaf(members) => members.len(),
            Self::Inner(children) => children.iter().map(|child| child.count).sum(),
        }
    }

    /// The number of members of a leaf, or of children.
    fn size(&self) -> usize {
        match self {
            Self::Leaf(members) => members.len(),
            Self::Inner(children) => children.len(),
        }
    }

    /// The parts of leaves in which these ranks are.
    fn slices<'a>(&'a self, ranks: Range<usize>, found: &mut Vec<&'a [Scored]>) {
        match self {
            Self::Leaf(members) => found.push(&members[ranks]),
            Self::Inner(children) => {
                let mut before = 0;
                for child in children {
                    let start = ranks.start.max(before);
                    let end = ranks.end.min(before + child.count);
                    if start < end {
                        child.node.slices(start - before..end - before, found);
                    }
                    before += child.count;
                }
            }
        }
    }

    /// Adds a member. Returns a part that has to become a node of its own.
    fn insert(&mut self, member: Scored) -> Option<Split> {
        match self {
            Self::Leaf(members) => {
                let at = members.partition_point(|other| is_before(other, &member));
                let right = insert(members, at, member)?;
                Some((right.first()?.clone(), Self::Leaf(right)))
            }
            Self::Inner(children) => {
                let at = child_where(children, |first| !is_before(&member, first));
                let child = &mut children[at];
                child.count += 1;
                let (first, node) = child.node.insert(member)?;
                let split = Child::new(first, node);
                child.count -= split.count;
                let right = insert(children, at + 1, split)?;
                Some((right.first()?.first.clone(), Self::Inner(right)))
            }
        }
    }

    fn remove(&mut self, rank: usize) -> Scored {
        match self {
            Self::Leaf(members) => members.remove(rank),
            Self::Inner(children) => {
                let (at, within) = child_at(children, rank);
                children[at].count -= 1;
                let removed = children[at].node.remove(within);
                tidy(children, at);
                removed
            }
        }
    }

    /// Adds the members of the node to the right, of which this is the first one.
    fn append(&mut self, first: Scored, right: Self) {
        match (self, right) {
            (Self::Leaf(members), Self::Leaf(mut others)) => members.append(&mut others),
            (Self::Inner(children), Self::Inner(mut others)) => {
                // It is not the first one any more.
                others[0].first = first;
                children.append(&mut others);
            }
            _ => unreachable!("BUG: nodes of different heights"),
        }
    }

    #[cfg(test)]
    fn check_counts(&self) -> usize {
        if let Self::Inner(children) = self {
            for child in children {
                assert_eq!(child.node.check_counts(), child.count);
                assert!(child.node.size() > 0);
            }
        }
        assert!(self.size() <= MOST);
        self.count()
    }
}

/// Puts an item at a position. Beyond [`MOST`] items, returns those that do not stay.
fn insert<T>(items: &mut Vec<T>, at: usize, item: T) -> Option<Vec<T>> {
    if items.len() < MOST {
        items.insert(at, item);
        return None;
    }
    // What is added in order leaves full nodes behind.
    let stay = if at == MOST { MOST } else { MOST / 2 };
    let mut right = Vec::with_capacity(MOST);
    right.extend(items.drain(stay..));
    if at > stay || stay == MOST {
        right.insert(at - stay, item);
    } else {
        items.insert(at, item);
    }
    Some(right)
}

/// Joins a child that has become small with one beside it. One that is empty goes.
fn tidy(children: &mut Vec<Child>, at: usize) {
    let size = children[at].node.size();
    if size == 0 {
        children.remove(at);
        return;
    }
    let left = at.saturating_sub(1);
    if size >= FEW || left + 1 >= children.len() {
        return;
    }
    if children[left].node.size() + children[left + 1].node.size() <= JOINED {
        let right = children.remove(left + 1);
        let left = &mut children[left];
        left.count += right.count;
        left.node.append(right.first, right.node);
    }
}

/// The child in which a rank is, and the rank within it.
fn child_at(children: &[Child], rank: usize) -> (usize, usize) {
    let mut left = rank;
    for (at, child) in children.iter().enumerate() {
        if left < child.count {
            return (at, left);
        }
        left -= child.count;
    }
    (children.len(), left)
}

/// The last child whose first member is such; the first child if there is none.
fn child_where(children: &[Child], holds: impl Fn(&Scored) -> bool) -> usize {
    children[1..].partition_point(|child| holds(&child.first))
}

fn is_before(one: &Scored, other: &Scored) -> bool {
    order(one.0, &one.1, other.0, &other.1).is_lt()
}

/// Scores are never NaN, and the two zeros are equal.
pub(super) fn order(score: f64, member: &[u8], other: f64, name: &[u8]) -> Ordering {
    let by_score = score.partial_cmp(&other).unwrap_or(Ordering::Equal);
    by_score.then_with(|| member.cmp(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(random: &mut fastrand::Rng) -> Scored {
        let name = random.u32(..2000).to_string();
        (f64::from(random.i32(-20..20)), name.into())
    }

    /// Grows and shrinks it at random, beside a sorted vector.
    #[test]
    fn it_is_a_sorted_vector() {
        let mut random = fastrand::Rng::with_seed(3);
        for most in [1, 2, MOST, 5 * MOST, 100 * MOST] {
            let (mut ranking, mut sorted) = (Ranking::default(), Vec::<Scored>::new());
            for step in 0..most * 6 {
                let grows = step % (most * 3) < most * 2;
                if grows == (random.u8(0..4) > 0) {
                    let member = member(&mut random);
                    let place = sorted.partition_point(|other| is_before(other, &member));
                    assert_eq!(ranking.position(member.0, &member.1), place);
                    if sorted.get(place) != Some(&member) {
                        sorted.insert(place, member.clone());
                        ranking.insert(member);
                    }
                } else if !sorted.is_empty() {
                    let rank = random.usize(..sorted.len());
                    assert_eq!(ranking.get(rank), Some(&sorted[rank]));
                    assert_eq!(ranking.remove(rank), sorted.remove(rank));
                }
                assert_eq!(ranking.len(), sorted.len());
                if random.u8(..) == 0 {
                    ranking.check_counts();
                    let start = random.usize(..=sorted.len());
                    let range = start..random.usize(start..=sorted.len());
                    assert!(ranking.range(range.clone()).eq(&sorted[range.clone()]));
                    let reversed = sorted[range.clone()].iter().rev();
                    assert!(ranking.range(range).rev().eq(reversed));
                }
            }
            while !sorted.is_empty() {
                let rank = random.usize(..sorted.len());
                assert_eq!(ranking.remove(rank), sorted.remove(rank));
            }
            ranking.check_counts();
            assert_eq!(ranking.get(0), None);
        }
    }

    #[test]
    fn members_in_order_fill_its_nodes() {
        for is_ascending in [true, false] {
            let count = 10_000;
            let numbers =
                (0..count).map(|number| if is_ascending { number } else { count - number });
            let ranking: Ranking = numbers
                .map(|number| (f64::from(number), Bytes::new()))
                .collect();
            ranking.check_counts();
            let mut leaves = Vec::new();
            ranking.root.slices(0..ranking.len(), &mut leaves);
            assert!(leaves.len() <= 2 * count as usize / MOST + 1);
        }
    }

    #[test]
    fn what_stays_of_many_members_needs_few_nodes() {
        let mut ranking: Ranking = (0..50_000)
            .map(|number| (f64::from(number), Bytes::new()))
            .collect();
        // All but every hundredth.
        for kept in 0..500 {
            (0..99).for_each(|_| drop(ranking.remove(kept)));
        }
        ranking.check_counts();
        let mut leaves = Vec::new();
        ranking.root.slices(0..ranking.len(), &mut leaves);
        assert_eq!(ranking.len(), 500);
        assert!(leaves.len() < 500 / FEW * 2, "{} leaves", leaves.len());
    }
}
