//! Keys that get another name, or go to another database.

use bytes::Bytes;

use crate::memory::{
    arguments::{Words, integer, is},
    context::Context,
    halt::{Halt, Outcome},
    keyspace::{DATABASES, Database},
    number,
    reply::Reply,
};

const SAME: Halt = Halt::Error(std::borrow::Cow::Borrowed(
    "ERR source and destination objects are the same",
));

pub(super) fn rename(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (from, to) = (&args[1], &args[2]);
    if !cx.db().contains(from) {
        return Err(Halt::NO_SUCH_KEY);
    }
    rename_existing(cx.db(), from, to);
    Ok(Reply::OK)
}

pub(super) fn renamenx(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (from, to) = (&args[1], &args[2]);
    if !cx.db().contains(from) {
        return Err(Halt::NO_SUCH_KEY);
    }
    let is_new = !cx.db().contains(to);
    if is_new {
        rename_existing(cx.db(), from, to);
    }
    Ok(Reply::flag(is_new))
}

fn rename_existing(database: &mut Database, from: &Bytes, to: &Bytes) {
    if from != to
        && let Some((value, expiry)) = database.remove(from)
    {
        database.insert(to, value);
        database.set_expiry(to, expiry);
    }
}

pub(super) fn copy(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (from, to) = (&args[1], &args[2]);
    let (mut target, mut replaces) = (cx.database, false);
    let mut words = Words::new(&args[3..]);
    while let Some(word) = words.next() {
        if is(word, "REPLACE") {
            replaces = true;
        } else if is(word, "DB") && !words.is_empty() {
            target = database(words.expect()?)?;
        } else {
            return Err(Halt::SYNTAX);
        }
    }
    if target != cx.database {
        cx.engine
            .refuse_in_cluster("ERR Copying to another database is not allowed in cluster mode")?;
    }
    if target == cx.database && from == to {
        return Err(SAME);
    }
    let Some(value) = cx.db().value(from).cloned() else {
        return Ok(Reply::flag(false));
    };
    let expiry = cx.db().expiry(from);
    let target = cx.engine.keyspace.database(target);
    if target.contains(to) && !replaces {
        return Ok(Reply::flag(false));
    }
    target.insert(to, value);
    target.set_expiry(to, expiry);
    Ok(Reply::flag(true))
}

pub(super) fn move_key(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    cx.engine
        .refuse_in_cluster("ERR MOVE is not allowed in cluster mode")?;
    let key = &args[1];
    let target = database(&args[2])?;
    let Some((source, target)) = cx.engine.keyspace.pair(cx.database, target) else {
        return Err(SAME);
    };
    if !source.contains(key) || target.contains(key) {
        return Ok(Reply::flag(false));
    }
    if let Some((value, expiry)) = source.remove(key) {
        target.insert(key, value);
        target.set_expiry(key, expiry);
    }
    Ok(Reply::flag(true))
}

pub(super) fn swapdb(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    cx.engine
        .refuse_in_cluster("ERR SWAPDB is not allowed in cluster mode")?;
    const FIRST: Halt = Halt::Error(std::borrow::Cow::Borrowed("ERR invalid first DB index"));
    const SECOND: Halt = Halt::Error(std::borrow::Cow::Borrowed("ERR invalid second DB index"));
    let index = |argument: &[u8]| number::integer(argument).filter(|index| is_int(*index));
    let one = index(&args[1]).ok_or(FIRST)?;
    let other = index(&args[2]).ok_or(SECOND)?;
    let (one, other) = (existing(one)?, existing(other)?);
    cx.engine.keyspace.swap(one, other);
    Ok(Reply::OK)
}

/// The number of a database, of MOVE and COPY.
fn database(argument: &[u8]) -> Result<usize, Halt> {
    let index = integer(argument)?;
    if !is_int(index) {
        return Err(Halt::error(format!(
            "ERR value is out of range, value must between {} and {}",
            i32::MIN,
            i32::MAX
        )));
    }
    existing(index)
}

/// Whether a number fits the type that Redis has for numbers of databases.
fn is_int(number: i64) -> bool {
    i32::try_from(number).is_ok()
}

fn existing(index: i64) -> Result<usize, Halt> {
    let index = usize::try_from(index).ok();
    index
        .filter(|index| *index < DATABASES)
        .ok_or(Halt::error("ERR DB index is out of range"))
}
