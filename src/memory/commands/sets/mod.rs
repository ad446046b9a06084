//! Sets.

mod algebra;
mod walks;

use bytes::Bytes;

use crate::memory::{
    command::{
        Command,
        flags::{DENYOOM, FAST, MOVABLE_KEYS, READONLY, WRITE},
    },
    context::Context,
    halt::{Halt, Outcome},
    keyspace::Set,
    reply::Reply,
};

const KEY: (i32, i32, i32) = (1, 1, 1);
const ALL_KEYS: (i32, i32, i32) = (1, -1, 1);

pub(super) const COMMANDS: &[Command] = &[
    Command::new("sadd", -3, WRITE | DENYOOM | FAST, KEY, sadd),
    Command::new("srem", -3, WRITE | FAST, KEY, srem),
    Command::new("smembers", 2, READONLY, KEY, smembers),
    Command::new("sismember", 3, READONLY | FAST, KEY, sismember),
    Command::new("smismember", -3, READONLY | FAST, KEY, smismember),
    Command::new("scard", 2, READONLY | FAST, KEY, scard),
    Command::new("smove", 4, WRITE | FAST, (1, 2, 1), smove),
    Command::new("spop", -2, WRITE | FAST, KEY, walks::spop),
    Command::new("srandmember", -2, READONLY, KEY, walks::srandmember),
    Command::new("sscan", -3, READONLY, KEY, walks::sscan),
    Command::new("sinter", -2, READONLY, ALL_KEYS, algebra::sinter),
    Command::new("sunion", -2, READONLY, ALL_KEYS, algebra::sunion),
    Command::new("sdiff", -2, READONLY, ALL_KEYS, algebra::sdiff),
    Command::new(
        "sinterstore",
        -3,
        WRITE | DENYOOM,
        ALL_KEYS,
        algebra::sinterstore,
    ),
    Command::new(
        "sunionstore",
        -3,
        WRITE | DENYOOM,
        ALL_KEYS,
        algebra::sunionstore,
    ),
    Command::new(
        "sdiffstore",
        -3,
        WRITE | DENYOOM,
        ALL_KEYS,
        algebra::sdiffstore,
    ),
    Command::new(
        "sintercard",
        -3,
        READONLY | MOVABLE_KEYS,
        (0, 0, 0),
        algebra::sintercard,
    ),
];

fn set<'a>(cx: &'a mut Context<'_>, key: &[u8]) -> Result<Option<&'a Set>, Halt> {
    cx.db().read::<Set>(key)
}

fn sadd(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let mut set = cx.db().edit::<Set>(&args[1])?;
    let mut added = 0;
    for member in &args[2..] {
        added += usize::from(set.insert(member.clone()));
    }
    if added > 0 {
        set.touch();
    }
    Ok(Reply::count(added))
}

fn srem(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let Some(mut set) = cx.db().edit_existing::<Set>(&args[1])? else {
        return Ok(Reply::count(0));
    };
    let removed = args[2..].iter().filter(|member| set.remove(member)).count();
    if removed > 0 {
        set.touch();
    }
    Ok(Reply::count(removed))
}

fn smembers(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(members(set(cx, &args[1])?.into_iter().flat_map(Set::iter)))
}

/// A reply of members.
fn members<'a>(members: impl IntoIterator<Item = &'a Bytes>) -> Reply {
    let members = members.into_iter().cloned();
    Reply::Set(members.map(Reply::Bulk).collect())
}

fn sismember(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let set = set(cx, &args[1])?;
    Ok(Reply::flag(set.is_some_and(|set| set.contains(&args[2]))))
}

fn smismember(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let set = set(cx, &args[1])?;
    let are_members = args[2..]
        .iter()
        .map(|member| Reply::flag(set.is_some_and(|set| set.contains(member))));
    Ok(Reply::Array(are_members.collect()))
}

fn scard(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(Reply::count(set(cx, &args[1])?.map_or(0, Set::len)))
}

fn smove(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (from, to, member) = (&args[1], &args[2], &args[3]);
    if !cx.db().contains(from) {
        return Ok(Reply::flag(false));
    }
    let is_member = set(cx, from)?.is_some_and(|set| set.contains(member));
    set(cx, to)?;
    if !is_member || from == to {
        return Ok(Reply::flag(is_member));
    }
    {
        let mut source = cx.db().edit::<Set>(from)?;
        source.remove(member);
        source.touch();
    }
    let mut target = cx.db().edit::<Set>(to)?;
    if target.insert(member.clone()) {
        target.touch();
    }
    Ok(Reply::flag(true))
}

#[cfg(test)]
mod tests {
    use crate::memory::tests::client::Client;

    #[test]
    fn members_are_added_moved_and_removed() {
        let client = Client::new();
        for (command, reply) in [
            ("SADD s b a b", ":2"),
            ("SMEMBERS s", "*2 $1 b $1 a"),
            ("SMISMEMBER s a x", "*2 :1 :0"),
            ("SMOVE s t a", ":1"),
            ("SMOVE s t a", ":0"),
            ("SMOVE s s b", ":1"),
            ("SREM s a b", ":1"),
            ("EXISTS s", ":0"),
            ("SCARD t", ":1"),
            ("SPOP t", "$1 a"),
            ("SPOP t", "$-1"),
            ("SPOP t 1", "*0"),
            ("SADD t 1", ":1"),
            ("SRANDMEMBER t -3", "*3 $1 1 $1 1 $1 1"),
            ("SPOP t 5", "*1 $1 1"),
            ("EXISTS t", ":0"),
        ] {
            assert_eq!(client.ask(command), reply, "{command}");
        }
    }

    #[test]
    fn members_are_a_set_where_there_are_sets() {
        let client = Client::new();
        client.ask("HELLO 3");
        client.ask("SADD s a");
        for command in ["SMEMBERS s", "SUNION s t", "SDIFF s t", "SINTER s s"] {
            assert_eq!(client.ask(command), "~1 $1 a", "{command}");
        }
        assert_eq!(client.ask("SRANDMEMBER s 1"), "*1 $1 a");
        assert_eq!(client.ask("SPOP s 1"), "~1 $1 a");
        assert_eq!(client.ask("SMEMBERS s"), "~0");
    }
}
