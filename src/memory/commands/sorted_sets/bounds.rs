//! Ranges of ranks, of scores, and of members, as ranges of positions in the order of a sorted set.

use std::ops::Range;

use bytes::Bytes;

use crate::memory::{
    arguments::integer,
    halt::Halt,
    keyspace::{Scored, SortedSet},
    number,
};

/// The kinds of ranges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum By {
    Rank,
    Score,
    Lex,
}

/// A range that a command names.
pub(super) enum Bounds<'a> {
    Rank(i64, i64),
    Score(Limit, Limit),
    Lex(Edge<'a>, Edge<'a>),
}

/// A least or a greatest score.
pub(super) struct Limit {
    score: f64,
    is_exclusive: bool,
}

/// A first or a last member.
pub(super) enum Edge<'a> {
    Lowest,
    Highest,
    At {
        member: &'a [u8],
        is_exclusive: bool,
    },
}

impl<'a> Bounds<'a> {
    pub(super) fn parse(by: By, min: &'a Bytes, max: &'a Bytes) -> Result<Self, Halt> {
        Ok(match by {
            By::Rank => Self::Rank(integer(min)?, integer(max)?),
            By::Score => Self::Score(Limit::parse(min)?, Limit::parse(max)?),
            By::Lex => Self::Lex(Edge::parse(min)?, Edge::parse(max)?),
        })
    }

    /// The positions that the range covers, without the first ones that are to be skipped. In reverse, ranks
    /// count from the highest member, and the range begins there.
    pub(super) fn positions(
        &self,
        set: &SortedSet,
        in_reverse: bool,
        skipped: usize,
    ) -> Range<usize> {
        let covered = match self {
            Self::Rank(start, end) => by_rank(set.len(), *start, *end, in_reverse),
            Self::Score(min, max) => by_score(set, min, max),
            Self::Lex(min, max) if set.has_one_score() || !set.is_small() => by_lex(set, min, max),
            Self::Lex(min, max) => return searched(set, min, max, in_reverse, skipped),
        };
        let skipped = skipped.min(covered.len());
        if in_reverse {
            covered.start..covered.end - skipped
        } else {
            covered.start + skipped..covered.end
        }
    }
}

const NOTHING: Range<usize> = 0..0;

impl Limit {
    fn parse(argument: &[u8]) -> Result<Self, Halt> {
        let (is_exclusive, text) = match argument.strip_prefix(b"(") {
            Some(text) => (true, text),
            None => (false, argument),
        };
        let score = score(text).ok_or(Halt::error("ERR min or max is not a float"))?;
        Ok(Self {
            score,
            is_exclusive,
        })
    }
}

/// Redis reads a limit with `strtod` alone, which is more lenient than its reading of other numbers: spaces
/// may lead, nothing is 0, and a NUL ends the text.
fn score(text: &[u8]) -> Option<f64> {
    let end = text.iter().position(|byte| *byte == 0);
    let text = &text[..end.unwrap_or(text.len())];
    if text.is_empty() {
        return Some(0.0);
    }
    let text = std::str::from_utf8(text.trim_ascii_start()).ok()?;
    let is_written_out = text.contains(|c: char| c.is_ascii_digit());
    let number = number::float(text.as_bytes());
    number.or_else(|| text.parse().ok().filter(|_| is_written_out))
}

fn by_rank(length: usize, start: i64, end: i64, in_reverse: bool) -> Range<usize> {
    let length = length as i64;
    let from_end = |rank: i64| {
        if rank < 0 {
            rank.saturating_add(length)
        } else {
            rank
        }
    };
    let (start, end) = (from_end(start).max(0), from_end(end).min(length - 1));
    if start > end {
        return NOTHING;
    }
    let (start, end) = if in_reverse {
        (length - 1 - end, length - 1 - start)
    } else {
        (start, end)
    };
    start as usize..end as usize + 1
}

fn by_score(set: &SortedSet, min: &Limit, max: &Limit) -> Range<usize> {
    let is_below = |score: f64| score < min.score || min.is_exclusive && score == min.score;
    let is_within = |score: f64| score < max.score || !max.is_exclusive && score == max.score;
    let start = set.partition_point(|(score, _)| is_below(*score));
    let end = set.partition_point(|(score, _)| is_within(*score));
    start..end.max(start)
}

impl<'a> Edge<'a> {
    fn parse(argument: &'a [u8]) -> Result<Self, Halt> {
        match argument {
            b"-" => Ok(Self::Lowest),
            b"+" => Ok(Self::Highest),
            [mark @ (b'[' | b'('), member @ ..] => Ok(Self::At {
                member,
                is_exclusive: *mark == b'(',
            }),
            _ => Err(Halt::error("ERR min or max not valid string range item")),
        }
    }

    /// Whether a member is not before this first one.
    fn begins_by(&self, name: &[u8]) -> bool {
        match self {
            Self::Lowest => true,
            Self::Highest => false,
            Self::At {
                member,
                is_exclusive,
            } => name > *member || !is_exclusive && name == *member,
        }
    }

    /// Whether a member is not after this last one.
    fn ends_after(&self, name: &[u8]) -> bool {
        match self {
            Self::Lowest => false,
            Self::Highest => true,
            Self::At {
                member,
                is_exclusive,
            } => name < *member || !is_exclusive && name == *member,
        }
    }
}

/// Members in order of their bytes, as they are where scores are equal.
fn by_lex(set: &SortedSet, min: &Edge<'_>, max: &Edge<'_>) -> Range<usize> {
    let start = set.partition_point(|(_, member)| !min.begins_by(member));
    let end = set.partition_point(|(_, member)| max.ends_after(member));
    start..end.max(start)
}

/// Where scores differ, Redis finds the members that a search from one end meets: it begins at the first one
/// within the range, skips the next ones unseen, and ends at the first one beyond the range. In a large set, whose
/// members it looks for by halves, it finds any.
fn searched(
    set: &SortedSet,
    min: &Edge<'_>,
    max: &Edge<'_>,
    in_reverse: bool,
    skipped: usize,
) -> Range<usize> {
    let (Some((_, first)), Some((_, last))) = (set.first(), set.last()) else {
        return NOTHING;
    };
    if is_empty(min, max) || !min.begins_by(last) || !max.ends_after(first) {
        return NOTHING;
    }
    let length = set.len();
    let begins = |(_, member): &Scored| min.begins_by(member);
    let ends = |(_, member): &Scored| max.ends_after(member);
    if in_reverse {
        let beyond = set.iter().rev().take_while(|member| !ends(member)).count();
        if !set.get(length - 1 - beyond).is_some_and(begins) {
            return NOTHING;
        }
        let end = (length - beyond).saturating_sub(skipped);
        let covered = set.range(0..end).rev().take_while(|member| begins(member));
        return end - covered.count()..end;
    }
    let first = set.iter().take_while(|member| !begins(member)).count();
    if !set.get(first).is_some_and(ends) {
        return NOTHING;
    }
    let start = first.saturating_add(skipped).min(length);
    let covered = set.range(start..length).take_while(|member| ends(member));
    start..start + covered.count()
}

/// Whether no member can be in a range, whatever the set.
fn is_empty(min: &Edge<'_>, max: &Edge<'_>) -> bool {
    match (min, max) {
        (Edge::Highest, _) | (_, Edge::Lowest) => true,
        (
            Edge::At {
                member: first,
                is_exclusive,
            },
            Edge::At {
                member: last,
                is_exclusive: ends_before,
            },
        ) => first > last || first == last && (*is_exclusive || *ends_before),
        _ => false,
    }
}
