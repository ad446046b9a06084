//! Entries in a range of ids.

use bytes::Bytes;

use super::{entry_reply, ids};
use crate::memory::{
    arguments::{Words, integer, is},
    context::Context,
    halt::{Halt, Outcome},
    keyspace::{Id, Stream},
    reply::Reply,
};

pub(super) fn xlen(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let stream = cx.db().read::<Stream>(&args[1])?;
    Ok(Reply::count(stream.map_or(0, Stream::len)))
}

pub(super) fn xrange(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (start, end) = (ids::start(&args[2])?, ids::end(&args[3])?);
    range(cx, args, start, end, false)
}

pub(super) fn xrevrange(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (start, end) = (ids::start(&args[3])?, ids::end(&args[2])?);
    range(cx, args, start, end, true)
}

fn range(cx: &mut Context<'_>, args: &[Bytes], start: Id, end: Id, is_backwards: bool) -> Outcome {
    let mut most = None;
    let mut words = Words::new(&args[4..]);
    while let Some(word) = words.next() {
        if !is(word, "COUNT") || words.is_empty() {
            return Err(Halt::SYNTAX);
        }
        most = Some(integer(words.expect()?)?.max(0) as usize);
    }
    let Some(stream) = cx.db().read::<Stream>(&args[1])? else {
        return Ok(Reply::Array(Vec::new()));
    };
    if most == Some(0) {
        return Ok(Reply::NullArray);
    }
    let most = most.unwrap_or(usize::MAX);
    let entries = stream.range(start, end);
    Ok(Reply::Array(if is_backwards {
        entries.rev().take(most).map(entry_reply).collect()
    } else {
        entries.take(most).map(entry_reply).collect()
    }))
}
