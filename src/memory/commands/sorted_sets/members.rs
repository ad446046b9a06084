//! Commands about members that are named, or drawn at random.

use bytes::Bytes;

use super::{Scored, members, sorted_set};
use crate::memory::{
    arguments::{float, is},
    commands::{
        sample,
        scan::{self, Options, Walk},
    },
    context::Context,
    halt::{Halt, Outcome},
    keyspace::SortedSet,
    number,
    reply::Reply,
};

const NOT_A_NUMBER: Halt = Halt::Error(std::borrow::Cow::Borrowed(
    "ERR resulting score is not a number (NaN)",
));

/// The options of ZADD.
#[derive(Clone, Copy, Default)]
struct Rules {
    only_new: bool,
    only_existing: bool,
    only_greater: bool,
    only_less: bool,
    counts_changes: bool,
    increments: bool,
}

/// The effect of ZADD on one member.
#[derive(PartialEq)]
enum Effect {
    /// The rules forbid it.
    Refused,
    Added(f64),
    Changed(f64),
    Same(f64),
}

impl Rules {
    /// Reads the options, and returns the arguments after them.
    fn parse(args: &[Bytes]) -> (Self, &[Bytes]) {
        let mut rules = Self::default();
        let mut rest = args;
        while let Some((word, others)) = rest.split_first() {
            let option = match &word.to_ascii_uppercase()[..] {
                b"NX" => &mut rules.only_new,
                b"XX" => &mut rules.only_existing,
                b"GT" => &mut rules.only_greater,
                b"LT" => &mut rules.only_less,
                b"CH" => &mut rules.counts_changes,
                b"INCR" => &mut rules.increments,
                _ => break,
            };
            *option = true;
            rest = others;
        }
        (rules, rest)
    }

    fn check(self, members: usize) -> Result<(), Halt> {
        if self.only_new && self.only_existing {
            return Err(Halt::error(
                "ERR XX and NX options at the same time are not compatible",
            ));
        }
        let compares = self.only_greater || self.only_less;
        if compares && self.only_new || self.only_greater && self.only_less {
            return Err(Halt::error(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if self.increments && members > 1 {
            return Err(Halt::error(
                "ERR INCR option supports a single increment-element pair",
            ));
        }
        Ok(())
    }

    /// Gives a member a score, if the rules permit it.
    fn apply(self, set: &mut SortedSet, member: &Bytes, score: f64) -> Result<Effect, Halt> {
        let Some(old) = set.score(member) else {
            if self.only_existing {
                return Ok(Effect::Refused);
            }
            set.insert(member.clone(), score);
            return Ok(Effect::Added(score));
        };
        if self.only_new {
            return Ok(Effect::Refused);
        }
        let new = if self.increments { old + score } else { score };
        if new.is_nan() {
            return Err(NOT_A_NUMBER);
        }
        if self.only_less && new >= old || self.only_greater && new <= old {
            return Ok(Effect::Refused);
        }
        if new == old {
            return Ok(Effect::Same(new));
        }
        set.insert(member.clone(), new);
        Ok(Effect::Changed(new))
    }
}

pub(in crate::memory::commands) fn zadd(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (rules, rest) = Rules::parse(&args[2..]);
    let (pairs, odd) = rest.as_chunks::<2>();
    if pairs.is_empty() || !odd.is_empty() {
        return Err(Halt::SYNTAX);
    }
    rules.check(pairs.len())?;
    add(cx, &args[1], rules, pairs)
}

pub(super) fn zincrby(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let rules = Rules {
        increments: true,
        ..Rules::default()
    };
    let pair = [args[2].clone(), args[3].clone()];
    add(cx, &args[1], rules, &[pair])
}

fn add(cx: &mut Context<'_>, key: &Bytes, rules: Rules, pairs: &[[Bytes; 2]]) -> Outcome {
    let scores = pairs.iter().map(|[score, _]| float(score));
    let scores = scores.collect::<Result<Vec<_>, _>>()?;
    let mut set = cx.db().edit::<SortedSet>(key)?;
    let (mut added, mut changed, mut last) = (0, 0, None);
    for ([_, member], score) in pairs.iter().zip(scores) {
        last = match rules.apply(&mut set, member, score)? {
            Effect::Refused => None,
            Effect::Same(score) => Some(score),
            Effect::Added(score) => {
                added += 1;
                Some(score)
            }
            Effect::Changed(score) => {
                changed += 1;
                Some(score)
            }
        };
    }
    if added + changed > 0 {
        set.touch();
    }
    if rules.increments {
        return Ok(last.map_or(Reply::Null, Reply::Double));
    }
    let counted = if rules.counts_changes { changed } else { 0 };
    Ok(Reply::Integer(added + counted))
}

pub(super) fn zrem(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let Some(mut set) = cx.db().edit_existing::<SortedSet>(&args[1])? else {
        return Ok(Reply::Integer(0));
    };
    let removed = args[2..]
        .iter()
        .filter(|member| set.remove(member).is_some());
    let removed = removed.count();
    if removed > 0 {
        set.touch();
    }
    Ok(Reply::count(removed))
}

pub(super) fn zscore(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let score = sorted_set(cx, &args[1])?.and_then(|set| set.score(&args[2]));
    Ok(score.map_or(Reply::Null, Reply::Double))
}

pub(super) fn zmscore(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let set = sorted_set(cx, &args[1])?;
    let scores = args[2..].iter().map(|member| {
        let score = set.and_then(|set| set.score(member));
        score.map_or(Reply::Null, Reply::Double)
    });
    Ok(Reply::Array(scores.collect()))
}

pub(super) fn zcard(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let length = sorted_set(cx, &args[1])?.map_or(0, SortedSet::len);
    Ok(Reply::count(length))
}

pub(super) fn zrank(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    rank(cx, "zrank", args, |rank, _| rank)
}

pub(super) fn zrevrank(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    rank(cx, "zrevrank", args, |rank, length| length - 1 - rank)
}

fn rank(
    cx: &mut Context<'_>,
    name: &str,
    args: &[Bytes],
    counted: fn(usize, usize) -> usize,
) -> Outcome {
    let with_score = match &args[3..] {
        [] => false,
        [word] if is(word, "WITHSCORE") => true,
        [_] => return Err(Halt::SYNTAX),
        _ => return Err(Halt::wrong_arity(name)),
    };
    let found = sorted_set(cx, &args[1])?.and_then(|set| {
        let rank = counted(set.rank(&args[2])?, set.len());
        Some((Reply::count(rank), set.score(&args[2])?))
    });
    Ok(match found {
        Some((rank, score)) if with_score => Reply::Array(vec![rank, Reply::Double(score)]),
        Some((rank, _)) => rank,
        None if with_score => Reply::NullArray,
        None => Reply::Null,
    })
}

pub(super) fn zrandmember(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let Some(count) = args.get(2) else {
        let mut random = cx.random().fork();
        let member = sorted_set(cx, &args[1])?.and_then(|set| {
            let (member, _) = set.at(random.usize(..set.len()))?;
            Some(member.clone())
        });
        return Ok(Reply::optional(member));
    };
    let count = sample::count(count)?;
    let with_scores = match &args[3..] {
        [] => false,
        [word] if is(word, "WITHSCORES") => true,
        _ => return Err(Halt::SYNTAX),
    };
    if with_scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(Halt::error("ERR value is out of range"));
    }
    let length = sorted_set(cx, &args[1])?.map_or(0, SortedSet::len);
    let mut drawn = sample::positions(cx.random(), length, count)?;
    if count >= 0 && drawn.len() == length {
        // Redis walks from the last one to the first.
        drawn.reverse();
    }
    let set = sorted_set(cx, &args[1])?;
    let drawn = drawn.into_iter().filter_map(|rank| set?.get(rank).cloned());
    let drawn: Vec<Scored> = drawn.collect();
    Ok(members(cx, drawn, with_scores))
}

pub(super) fn zscan(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let cursor = scan::cursor(&args[2])?;
    let Some(set) = sorted_set(cx, &args[1])? else {
        // Without the key the options do not matter.
        let page = Options::parse(&[], Walk::Members)?.page(0, 0, true);
        return Ok(page.reply(Vec::new()));
    };
    let options = Options::parse(&args[3..], Walk::Members)?;
    let page = options.page(cursor, set.len(), set.is_small());
    let mut found = Vec::new();
    let mut add = |member: &Bytes, score| {
        if options.matches(member) {
            // A score is a bulk string in both protocols.
            let score = Reply::bulk(number::text(score));
            found.extend([Reply::Bulk(member.clone()), score]);
        }
    };
    if set.is_small() {
        // All members, in the order in which Redis holds so few.
        set.iter().for_each(|(score, member)| add(member, *score));
    } else {
        let positions = page.positions();
        let members = positions.filter_map(|position| set.at(position));
        members.for_each(|(member, score)| add(member, score));
    }
    Ok(page.reply(found))
}
