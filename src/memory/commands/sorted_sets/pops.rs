//! Commands that take the lowest or the highest members, and may wait for them.

use bytes::Bytes;

use super::{Scored, flat, members, pairs};
use crate::memory::{
    arguments::{Words, integer, is, timeout},
    context::Context,
    halt::{Halt, Outcome, Wait},
    keyspace::SortedSet,
    reply::Reply,
};

/// The end of the order from which members are taken.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Lowest,
    Highest,
}

/// Takes so many members of a key, the outermost first.
fn pop(cx: &mut Context<'_>, key: &Bytes, end: End, count: usize) -> Result<Vec<Scored>, Halt> {
    let Some(mut set) = cx.db().edit_existing::<SortedSet>(key)? else {
        return Ok(Vec::new());
    };
    let (length, count) = (set.len(), count.min(set.len()));
    let mut taken = match end {
        End::Lowest => set.remove_ranks(0..count),
        End::Highest => set.remove_ranks(length - count..length),
    };
    if end == End::Highest {
        taken.reverse();
    }
    if !taken.is_empty() {
        set.touch();
    }
    Ok(taken)
}

/// Takes members of the first key that has any.
fn pop_first<'a>(
    cx: &mut Context<'_>,
    keys: &'a [Bytes],
    end: End,
    count: usize,
) -> Result<Option<(&'a Bytes, Vec<Scored>)>, Halt> {
    for key in keys {
        let taken = pop(cx, key, end, count)?;
        if !taken.is_empty() {
            return Ok(Some((key, taken)));
        }
    }
    Ok(None)
}

fn zpop(cx: &mut Context<'_>, args: &[Bytes], end: End) -> Outcome {
    let count = match &args[2..] {
        [] => None,
        [count] => {
            let count = integer(count).ok().and_then(|count| count.try_into().ok());
            Some(count.ok_or(Halt::OUT_OF_RANGE)?)
        }
        _ => return Err(Halt::SYNTAX),
    };
    let taken = pop(cx, &args[1], end, count.unwrap_or(1))?;
    Ok(match count {
        Some(_) => members(cx, taken, true),
        None => flat(taken.into_iter()),
    })
}

pub(super) fn zpopmin(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    zpop(cx, args, End::Lowest)
}

pub(super) fn zpopmax(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    zpop(cx, args, End::Highest)
}

fn bzpop(cx: &mut Context<'_>, args: &[Bytes], end: End) -> Outcome {
    let (last, keys) = args[1..].split_last().ok_or(Halt::SYNTAX)?;
    let timeout = timeout(last, cx.now)?;
    let Some((key, taken)) = pop_first(cx, keys, end, 1)? else {
        return Err(wait(keys, timeout));
    };
    let mut reply = vec![Reply::Bulk(key.clone())];
    for (score, member) in taken {
        reply.extend([Reply::Bulk(member), Reply::Double(score)]);
    }
    Ok(Reply::Array(reply))
}

pub(super) fn bzpopmin(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    bzpop(cx, args, End::Lowest)
}

pub(super) fn bzpopmax(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    bzpop(cx, args, End::Highest)
}

fn wait(keys: &[Bytes], timeout: Option<u64>) -> Halt {
    Halt::Wait(Wait::new(keys.to_vec(), timeout, Reply::NullArray))
}

/// The members that ZMPOP and BZMPOP ask for.
struct Request<'a> {
    keys: &'a [Bytes],
    end: End,
    count: usize,
}

impl<'a> Request<'a> {
    fn parse(args: &'a [Bytes]) -> Result<Self, Halt> {
        let keys = positive(&args[0], "ERR numkeys should be greater than 0")?;
        if keys >= args.len() - 1 {
            return Err(Halt::SYNTAX);
        }
        let (keys, rest) = args[1..].split_at(keys);
        let mut words = Words::new(rest);
        let end = match words.expect()? {
            word if is(word, "MIN") => End::Lowest,
            word if is(word, "MAX") => End::Highest,
            _ => return Err(Halt::SYNTAX),
        };
        let mut count = None;
        while let Some(word) = words.next() {
            if !is(word, "COUNT") || count.is_some() || words.is_empty() {
                return Err(Halt::SYNTAX);
            }
            let error = "ERR count should be greater than 0";
            count = Some(positive(words.expect()?, error)?);
        }
        Ok(Self {
            keys,
            end,
            count: count.unwrap_or(1),
        })
    }

    /// The members that are there, with their key.
    fn pop(&self, cx: &mut Context<'_>) -> Result<Option<Reply>, Halt> {
        let taken = pop_first(cx, self.keys, self.end, self.count)?;
        Ok(taken.map(|(key, taken)| {
            Reply::Array(vec![Reply::Bulk(key.clone()), pairs(taken.into_iter())])
        }))
    }
}

fn positive(argument: &[u8], error: &'static str) -> Result<usize, Halt> {
    let number = integer(argument).ok().filter(|number| *number > 0);
    let number = number.and_then(|number| number.try_into().ok());
    number.ok_or(Halt::error(error))
}

pub(super) fn zmpop(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let taken = Request::parse(&args[1..])?.pop(cx)?;
    Ok(taken.unwrap_or(Reply::NullArray))
}

pub(super) fn bzmpop(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let request = Request::parse(&args[2..])?;
    let timeout = timeout(&args[1], cx.now)?;
    let taken = request.pop(cx)?;
    taken.ok_or_else(|| wait(request.keys, timeout))
}
