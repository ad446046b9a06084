//! Commands that wait for an element.

use bytes::Bytes;

use super::{Mpop, moves::Move, parse_mpop, take, take_first};
use crate::memory::{
    arguments::timeout,
    context::Context,
    halt::{Halt, Outcome, Wait},
    keyspace::End,
    reply::Reply,
};

pub(super) fn blpop(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    pop(cx, &args[1..], End::Left)
}

pub(super) fn brpop(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    pop(cx, &args[1..], End::Right)
}

fn pop(cx: &mut Context<'_>, args: &[Bytes], end: End) -> Outcome {
    let Some((time, keys)) = args.split_last() else {
        return Err(Halt::SYNTAX);
    };
    let timeout = timeout(time, cx.now)?;
    for key in keys {
        if let Some(items) = take(cx, key, end, 1)? {
            let key = Reply::Bulk(key.clone());
            let item = items.into_iter().next();
            return Ok(Reply::Array(vec![key, Reply::optional(item)]));
        }
    }
    wait(keys, timeout)
}

fn wait(keys: &[Bytes], timeout: Option<u64>) -> Outcome {
    Err(Halt::Wait(Wait::new(
        keys.to_vec(),
        timeout,
        Reply::NullArray,
    )))
}

pub(super) fn blmove(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    move_or_wait(cx, &Move::parse(args)?, &args[5])
}

pub(super) fn brpoplpush(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    move_or_wait(cx, &Move::of_rpoplpush(args), &args[3])
}

fn move_or_wait(cx: &mut Context<'_>, to_do: &Move<'_>, time: &[u8]) -> Outcome {
    let timeout = timeout(time, cx.now)?;
    match to_do.run(cx)? {
        Some(item) => Ok(Reply::Bulk(item)),
        None => wait(std::slice::from_ref(to_do.source), timeout),
    }
}

pub(super) fn blmpop(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let mpop: Mpop<'_> = parse_mpop(&args[2..])?;
    let timeout = timeout(&args[1], cx.now)?;
    match take_first(cx, &mpop)? {
        Some(reply) => Ok(reply),
        None => wait(mpop.keys, timeout),
    }
}
