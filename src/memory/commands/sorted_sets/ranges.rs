//! Commands that take a range of a sorted set.

use std::ops::Range;

use bytes::Bytes;

use super::{
    Scored,
    bounds::{Bounds, By},
    members, sorted_set, store,
};
use crate::memory::{
    arguments::{Words, integer, is},
    context::Context,
    halt::{Halt, Outcome},
    keyspace::SortedSet,
    reply::Reply,
};

/// The members that ZRANGE and its kin ask for.
struct Query<'a> {
    bounds: Bounds<'a>,
    in_reverse: bool,
    offset: i64,
    /// Negative for no limit.
    limit: i64,
    with_scores: bool,
}

/// The forms of ZRANGE. A form may leave the kind of the range and its direction to options.
#[derive(Clone, Copy)]
struct Form {
    by: Option<By>,
    in_reverse: Option<bool>,
    takes_scores: bool,
}

impl Form {
    const fn new(by: By, in_reverse: bool) -> Self {
        Self {
            by: Some(by),
            in_reverse: Some(in_reverse),
            takes_scores: true,
        }
    }

    const OPEN: Self = Self {
        by: None,
        in_reverse: None,
        takes_scores: true,
    };

    const STORE: Self = Self {
        takes_scores: false,
        ..Self::OPEN
    };
}

impl<'a> Query<'a> {
    /// Reads the bounds and the options, which come after the key.
    fn parse(args: &'a [Bytes], form: Form) -> Result<Self, Halt> {
        let (mut by, mut in_reverse) = (form.by, form.in_reverse);
        let (mut offset, mut limit, mut with_scores) = (0, -1, false);
        let mut words = Words::new(&args[2..]);
        while let Some(word) = words.next() {
            if form.takes_scores && is(word, "WITHSCORES") {
                with_scores = true;
            } else if is(word, "LIMIT") && words.len() >= 2 {
                offset = integer(words.expect()?)?;
                limit = integer(words.expect()?)?;
            } else if in_reverse.is_none() && is(word, "REV") {
                in_reverse = Some(true);
            } else if by.is_none() && is(word, "BYLEX") {
                by = Some(By::Lex);
            } else if by.is_none() && is(word, "BYSCORE") {
                by = Some(By::Score);
            } else {
                return Err(Halt::SYNTAX);
            }
        }
        let (by, in_reverse) = (by.unwrap_or(By::Rank), in_reverse.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(Halt::error(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Lex {
            return Err(Halt::error(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        let [min, max] = if in_reverse && by != By::Rank {
            [&args[1], &args[0]]
        } else {
            [&args[0], &args[1]]
        };
        Ok(Self {
            bounds: Bounds::parse(by, min, max)?,
            in_reverse,
            // A range of ranks has none: LIMIT with a count of -1 is let through, and does nothing.
            offset: if by == By::Rank { 0 } else { offset },
            limit,
            with_scores,
        })
    }

    /// The members of a sorted set in the order that is asked for.
    fn select(&self, set: &SortedSet) -> Vec<Scored> {
        // A negative offset skips all.
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let Range { start, end } = self.bounds.positions(set, self.in_reverse, offset);
        if self.in_reverse {
            let start = start.max(end.saturating_sub(limit));
            return set.range(start..end).rev().cloned().collect();
        }
        let end = end.min(start.saturating_add(limit));
        set.range(start..end).cloned().collect()
    }
}

fn range(cx: &mut Context<'_>, args: &[Bytes], form: Form) -> Outcome {
    let query = Query::parse(&args[2..], form)?;
    let found = sorted_set(cx, &args[1])?.map(|set| query.select(set));
    Ok(members(cx, found.unwrap_or_default(), query.with_scores))
}

pub(super) fn zrange(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    range(cx, args, Form::OPEN)
}

pub(super) fn zrevrange(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    range(cx, args, Form::new(By::Rank, true))
}

pub(super) fn zrangebyscore(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    range(cx, args, Form::new(By::Score, false))
}

pub(super) fn zrevrangebyscore(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    range(cx, args, Form::new(By::Score, true))
}

pub(super) fn zrangebylex(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    range(cx, args, Form::new(By::Lex, false))
}

pub(super) fn zrevrangebylex(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    range(cx, args, Form::new(By::Lex, true))
}

pub(super) fn zrangestore(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let query = Query::parse(&args[3..], Form::STORE)?;
    let found = sorted_set(cx, &args[2])?.map(|set| query.select(set));
    let found = found.unwrap_or_default().into_iter();
    let found = found.map(|(score, member)| (member, score));
    Ok(store(cx, &args[1], found))
}

fn count(cx: &mut Context<'_>, args: &[Bytes], by: By) -> Outcome {
    let bounds = Bounds::parse(by, &args[2], &args[3])?;
    let found = sorted_set(cx, &args[1])?.map(|set| bounds.positions(set, false, 0).len());
    Ok(Reply::count(found.unwrap_or(0)))
}

pub(super) fn zcount(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    count(cx, args, By::Score)
}

pub(super) fn zlexcount(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    count(cx, args, By::Lex)
}

fn remove(cx: &mut Context<'_>, args: &[Bytes], by: By) -> Outcome {
    let bounds = Bounds::parse(by, &args[2], &args[3])?;
    let Some(mut set) = cx.db().edit_existing::<SortedSet>(&args[1])? else {
        return Ok(Reply::Integer(0));
    };
    let positions = bounds.positions(&set, false, 0);
    let removed = set.remove_ranks(positions).len();
    if removed > 0 {
        set.touch();
    }
    Ok(Reply::count(removed))
}

pub(super) fn zremrangebyrank(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    remove(cx, args, By::Rank)
}

pub(super) fn zremrangebyscore(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    remove(cx, args, By::Score)
}

pub(super) fn zremrangebylex(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    remove(cx, args, By::Lex)
}
