//! Lists.

mod blocking;
mod moves;
mod positions;

use bytes::Bytes;

use crate::memory::{
    arguments::{Words, is},
    command::{
        Command,
        flags::{BLOCKING, DENYOOM, FAST, MOVABLE_KEYS, NOSCRIPT, READONLY, WRITE},
    },
    context::Context,
    halt::{Halt, Outcome},
    keyspace::{End, List},
    number,
    reply::Reply,
};

const WRITES: u32 = WRITE | DENYOOM;
const BLOCKS: u32 = WRITE | NOSCRIPT | BLOCKING;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    Command::new("lpush", -3, WRITES | FAST, (1, 1, 1), lpush),
    Command::new("rpush", -3, WRITES | FAST, (1, 1, 1), rpush),
    Command::new("lpushx", -3, WRITES | FAST, (1, 1, 1), lpushx),
    Command::new("rpushx", -3, WRITES | FAST, (1, 1, 1), rpushx),
    Command::new("lpop", -2, WRITE | FAST, (1, 1, 1), lpop),
    Command::new("rpop", -2, WRITE | FAST, (1, 1, 1), rpop),
    Command::new("lmpop", -4, WRITE | MOVABLE_KEYS, (0, 0, 0), lmpop),
    Command::new("llen", 2, READONLY | FAST, (1, 1, 1), positions::llen),
    Command::new("lrange", 4, READONLY, (1, 1, 1), positions::lrange),
    Command::new("lindex", 3, READONLY, (1, 1, 1), positions::lindex),
    Command::new("lset", 4, WRITES, (1, 1, 1), positions::lset),
    Command::new("linsert", 5, WRITES, (1, 1, 1), positions::linsert),
    Command::new("lrem", 4, WRITE, (1, 1, 1), positions::lrem),
    Command::new("ltrim", 4, WRITE, (1, 1, 1), positions::ltrim),
    Command::new("lpos", -3, READONLY, (1, 1, 1), positions::lpos),
    Command::new("lmove", 5, WRITES, (1, 2, 1), moves::lmove),
    Command::new("rpoplpush", 3, WRITES, (1, 2, 1), moves::rpoplpush),
    Command::new("blpop", -3, BLOCKS, (1, -2, 1), blocking::blpop),
    Command::new("brpop", -3, BLOCKS, (1, -2, 1), blocking::brpop),
    Command::new("blmove", 6, BLOCKS | DENYOOM, (1, 2, 1), blocking::blmove),
    Command::new("brpoplpush", 4, BLOCKS | DENYOOM, (1, 2, 1), blocking::brpoplpush),
    Command::new("blmpop", -5, WRITE | BLOCKING | MOVABLE_KEYS, (0, 0, 0), blocking::blmpop),
];

/// An end of a list, by its name.
fn end(argument: &[u8]) -> Result<End, Halt> {
    if is(argument, "LEFT") {
        Ok(End::Left)
    } else if is(argument, "RIGHT") {
        Ok(End::Right)
    } else {
        Err(Halt::SYNTAX)
    }
}

fn lpush(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    push(cx, args, End::Left)
}

fn rpush(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    push(cx, args, End::Right)
}

fn push(cx: &mut Context<'_>, args: &[Bytes], end: End) -> Outcome {
    let mut list = cx.db().edit::<List>(&args[1])?;
    for item in &args[2..] {
        list.push(end, item.clone());
    }
    list.touch();
    Ok(Reply::count(list.len()))
}

fn lpushx(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    push_if_exists(cx, args, End::Left)
}

fn rpushx(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    push_if_exists(cx, args, End::Right)
}

fn push_if_exists(cx: &mut Context<'_>, args: &[Bytes], end: End) -> Outcome {
    if cx.db().contains(&args[1]) {
        push(cx, args, end)
    } else {
        Ok(Reply::count(0))
    }
}

fn lpop(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    pop(cx, args, End::Left)
}

fn rpop(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    pop(cx, args, End::Right)
}

fn pop(cx: &mut Context<'_>, args: &[Bytes], end: End) -> Outcome {
    let count = match &args[2..] {
        [] => None,
        [count] => {
            let count = number::integer(count).and_then(|count| usize::try_from(count).ok());
            Some(count.ok_or(Halt::OUT_OF_RANGE)?)
        }
        _ => {
            let name = if end == End::Left { "lpop" } else { "rpop" };
            return Err(Halt::wrong_arity(name));
        }
    };
    let popped = take(cx, &args[1], end, count.unwrap_or(1))?;
    Ok(match (popped, count) {
        (None, None) => Reply::Null,
        (None, Some(_)) => Reply::NullArray,
        (Some(items), None) => Reply::optional(items.into_iter().next()),
        (Some(items), Some(_)) => Reply::bulks(items),
    })
}

/// Takes so many elements at most from an end of a list, if there is one.
fn take(
    cx: &mut Context<'_>,
    key: &Bytes,
    end: End,
    most: usize,
) -> Result<Option<Vec<Bytes>>, Halt> {
    let Some(mut list) = cx.db().edit_existing::<List>(key)? else {
        return Ok(None);
    };
    let most = most.min(list.len());
    let items: Vec<Bytes> = std::iter::from_fn(|| list.pop(end)).take(most).collect();
    if !items.is_empty() {
        list.touch();
    }
    Ok(Some(items))
}

/// The arguments of LMPOP, and those of BLMPOP after its timeout.
struct Mpop<'a> {
    keys: &'a [Bytes],
    end: End,
    count: usize,
}

fn parse_mpop(args: &[Bytes]) -> Result<Mpop<'_>, Halt> {
    let above_zero = |argument: &[u8]| {
        let number = number::integer(argument).filter(|number| *number > 0);
        number.map(|number| number as usize)
    };
    let number = above_zero(&args[0]).ok_or(Halt::error("ERR numkeys should be greater than 0"))?;
    let (keys, options) = args[1..].split_at_checked(number).ok_or(Halt::SYNTAX)?;
    let mut words = Words::new(options);
    let end = end(words.expect()?)?;
    let mut count = None;
    while let Some(word) = words.next() {
        if count.is_some() || !is(word, "COUNT") {
            return Err(Halt::SYNTAX);
        }
        let number = above_zero(words.expect()?);
        count = Some(number.ok_or(Halt::error("ERR count should be greater than 0"))?);
    }
    let count = count.unwrap_or(1);
    Ok(Mpop { keys, end, count })
}

fn lmpop(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let reply = take_first(cx, &parse_mpop(&args[1..])?)?;
    Ok(reply.unwrap_or(Reply::NullArray))
}

/// Takes elements of the first of these lists that exists.
fn take_first(cx: &mut Context<'_>, mpop: &Mpop<'_>) -> Result<Option<Reply>, Halt> {
    for key in mpop.keys {
        if let Some(items) = take(cx, key, mpop.end, mpop.count)? {
            let reply = vec![Reply::Bulk(key.clone()), Reply::bulks(items)];
            return Ok(Some(Reply::Array(reply)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
