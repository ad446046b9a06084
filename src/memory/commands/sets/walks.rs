//! SSCAN, SPOP and SRANDMEMBER.

use bytes::Bytes;

use super::{Set, members, set};
use crate::memory::{
    arguments::integer,
    commands::{
        sample,
        scan::{self, Options, Walk},
    },
    context::Context,
    halt::{Halt, Outcome},
    reply::Reply,
};

pub(super) fn sscan(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let cursor = scan::cursor(&args[2])?;
    let Some(set) = set(cx, &args[1])? else {
        return Ok(scan::empty());
    };
    let options = Options::parse(&args[3..], Walk::Members)?;
    let page = options.page(cursor, set.len(), set.is_small());
    let members = page.positions().filter_map(|position| set.at(position));
    let found = members.filter(|member| options.matches(member));
    Ok(page.reply(found.cloned().map(Reply::Bulk).collect()))
}

pub(super) fn spop(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let count = match &args[2..] {
        [] => {
            let popped = pop(cx, &args[1], 1)?;
            return Ok(Reply::optional(popped.into_iter().next()));
        }
        [count] => integer(count).ok().and_then(|count| count.try_into().ok()),
        _ => return Err(Halt::SYNTAX),
    };
    let popped = pop(cx, &args[1], count.ok_or(Halt::OUT_OF_RANGE)?)?;
    Ok(members(&popped))
}

/// Removes so many random members.
fn pop(cx: &mut Context<'_>, key: &Bytes, count: usize) -> Result<Vec<Bytes>, Halt> {
    let random = &mut cx.engine.random;
    let database = cx.engine.keyspace.database(cx.database);
    let Some(mut set) = database.edit_existing::<Set>(key)? else {
        return Ok(Vec::new());
    };
    if count == 0 {
        return Ok(Vec::new());
    }
    set.touch();
    if count >= set.len() {
        let all = std::mem::take(&mut *set);
        return Ok(all.iter().cloned().collect());
    }
    let popped = (0..count).filter_map(|_| {
        let position = random.usize(..set.len());
        set.take(position)
    });
    Ok(popped.collect())
}

pub(super) fn srandmember(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let count = match &args[2..] {
        [] => None,
        [count] => Some(sample::count(count)?),
        _ => return Err(Halt::SYNTAX),
    };
    let len = set(cx, &args[1])?.map_or(0, Set::len);
    let positions = sample::positions(cx.random(), len, count.unwrap_or(1))?;
    let set = set(cx, &args[1])?;
    let mut drawn = positions
        .into_iter()
        .filter_map(|position| set?.at(position).cloned());
    Ok(match count {
        Some(_) => Reply::bulks(drawn),
        None => Reply::optional(drawn.next()),
    })
}
