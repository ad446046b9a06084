//! Intersections, unions and differences of sets.

use bytes::Bytes;

use super::{Set, members};
use crate::memory::{
    arguments::{Words, integer, is},
    context::Context,
    halt::{Halt, Outcome},
    keyspace::{Database, Kind},
    reply::Reply,
};

/// Makes one set of several. A key that does not exist is an empty set.
type Combine = fn(&[Option<&Set>]) -> Set;

pub(super) fn sinter(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    show(cx, args, intersection)
}

pub(super) fn sunion(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    show(cx, args, union)
}

pub(super) fn sdiff(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    show(cx, args, difference)
}

pub(super) fn sinterstore(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    store(cx, args, intersection)
}

pub(super) fn sunionstore(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    store(cx, args, union)
}

pub(super) fn sdiffstore(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    store(cx, args, difference)
}

fn show(cx: &mut Context<'_>, args: &[Bytes], combine: Combine) -> Outcome {
    let result = combine(&sets(cx.db(), &args[1..])?);
    Ok(members(result.iter()))
}

fn store(cx: &mut Context<'_>, args: &[Bytes], combine: Combine) -> Outcome {
    let result = combine(&sets(cx.db(), &args[2..])?);
    let len = result.len();
    cx.db().insert(&args[1], result.into_value());
    Ok(Reply::count(len))
}

pub(super) fn sintercard(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let number = integer(&args[1]).ok().filter(|number| *number > 0);
    let number = number.ok_or(Halt::error("ERR numkeys should be greater than 0"))?;
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    if number > args.len() - 2 {
        return Err(Halt::error(
            "ERR Number of keys can't be greater than number of args",
        ));
    }
    let (keys, options) = args[2..].split_at(number);
    let mut limit = 0;
    let mut words = Words::new(options);
    while let Some(word) = words.next() {
        if !is(word, "LIMIT") || words.is_empty() {
            return Err(Halt::SYNTAX);
        }
        let value = integer(words.expect()?).ok();
        limit = value
            .and_then(|limit| usize::try_from(limit).ok())
            .ok_or(Halt::error("ERR LIMIT can't be negative"))?;
    }
    if limit == 0 {
        limit = usize::MAX;
    }
    let sets = sets(cx.db(), keys)?;
    Ok(Reply::count(common(&sets).take(limit).count()))
}

/// The sets of these keys, all of which have to be sets if they exist.
fn sets<'a>(database: &'a mut Database, keys: &[Bytes]) -> Result<Vec<Option<&'a Set>>, Halt> {
    for key in keys {
        database.read::<Set>(key)?;
    }
    let database = &*database;
    let sets = keys.iter().map(|key| database.peek(key).and_then(Set::of));
    Ok(sets.collect())
}

/// The members that all sets have.
fn common<'a>(sets: &[Option<&'a Set>]) -> impl Iterator<Item = &'a Bytes> {
    let all: Option<Vec<&Set>> = sets.iter().copied().collect();
    let all = all.unwrap_or_default();
    let smallest = all.iter().copied().min_by_key(|set| set.len());
    let members = smallest.into_iter().flat_map(Set::iter);
    members.filter(move |member| all.iter().all(|set| set.contains(member)))
}

fn intersection(sets: &[Option<&Set>]) -> Set {
    common(sets).cloned().collect()
}

fn union(sets: &[Option<&Set>]) -> Set {
    let members = sets.iter().flatten().flat_map(|set| set.iter());
    members.cloned().collect()
}

fn difference(sets: &[Option<&Set>]) -> Set {
    let Some((Some(first), others)) = sets.split_first() else {
        return Set::default();
    };
    let is_left = |member: &&Bytes| !others.iter().flatten().any(|set| set.contains(member));
    first.iter().filter(is_left).cloned().collect()
}

#[cfg(test)]
mod tests {
    use crate::memory::tests::client::Client;

    #[test]
    fn sets_are_combined() {
        let client = Client::new();
        for (command, reply) in [
            ("SADD a 1 2 3 4", ":4"),
            ("SADD b 4 3 x", ":3"),
            ("SINTER a b", "*2 $1 3 $1 4"),
            ("SINTER a nothing", "*0"),
            ("SUNION a b", "*5 $1 1 $1 2 $1 3 $1 4 $1 x"),
            ("SDIFF a b nothing", "*2 $1 1 $1 2"),
            ("SDIFFSTORE a a b", ":2"),
            ("SMEMBERS a", "*2 $1 1 $1 2"),
            ("SINTERSTORE a a b", ":0"),
            ("EXISTS a", ":0"),
            ("SUNIONSTORE c a b", ":3"),
            ("SINTERCARD 2 b c LIMIT 2", ":2"),
            ("SINTERCARD 2 b c LIMIT 0", ":3"),
            ("SINTERCARD 0 b", "-ERR numkeys should be greater than 0"),
        ] {
            assert_eq!(client.ask(command), reply, "{command}");
        }
    }
}
