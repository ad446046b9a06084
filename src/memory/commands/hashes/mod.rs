//! Hashes.

mod expiry;
mod fields;
mod walks;

use bytes::{Bytes, BytesMut};

use crate::memory::{
    arguments::integer,
    command::{
        Command,
        flags::{DENYOOM, FAST, READONLY, WRITE},
    },
    context::Context,
    extended,
    halt::{Halt, Outcome},
    keyspace::Hash,
    number,
    reply::Reply,
};

const WRITES: u32 = WRITE | DENYOOM | FAST;
const READS: u32 = READONLY | FAST;
const KEY: (i32, i32, i32) = (1, 1, 1);

pub(super) const COMMANDS: &[Command] = &[
    Command::new("hset", -4, WRITES, KEY, hset),
    Command::new("hmset", -4, WRITES, KEY, hmset),
    Command::new("hsetnx", 4, WRITES, KEY, hsetnx),
    Command::new("hget", 3, READS, KEY, hget),
    Command::new("hmget", -3, READS, KEY, hmget),
    Command::new("hgetall", 2, READONLY, KEY, hgetall),
    Command::new("hdel", -3, WRITE | FAST, KEY, hdel),
    Command::new("hlen", 2, READS, KEY, hlen),
    Command::new("hexists", 3, READS, KEY, hexists),
    Command::new("hkeys", 2, READONLY, KEY, hkeys),
    Command::new("hvals", 2, READONLY, KEY, hvals),
    Command::new("hstrlen", 3, READS, KEY, hstrlen),
    Command::new("hincrby", 4, WRITES, KEY, hincrby),
    Command::new("hincrbyfloat", 4, WRITES, KEY, hincrbyfloat),
    Command::new("hrandfield", -2, READONLY, KEY, walks::hrandfield),
    Command::new("hscan", -3, READONLY, KEY, walks::hscan),
    Command::new("hexpire", -6, WRITES, KEY, expiry::hexpire),
    Command::new("hpexpire", -6, WRITES, KEY, expiry::hpexpire),
    Command::new("hexpireat", -6, WRITES, KEY, expiry::hexpireat),
    Command::new("hpexpireat", -6, WRITES, KEY, expiry::hpexpireat),
    Command::new("httl", -5, READS, KEY, expiry::httl),
    Command::new("hpttl", -5, READS, KEY, expiry::hpttl),
    Command::new("hexpiretime", -5, READS, KEY, expiry::hexpiretime),
    Command::new("hpexpiretime", -5, READS, KEY, expiry::hpexpiretime),
    Command::new("hpersist", -5, WRITE | FAST, KEY, expiry::hpersist),
    Command::new("hgetdel", -5, WRITE | FAST, KEY, fields::hgetdel),
    Command::new("hgetex", -5, WRITE | FAST, KEY, fields::hgetex),
    Command::new("hsetex", -6, WRITES, KEY, fields::hsetex),
];

fn hash<'a>(cx: &'a mut Context<'_>, key: &[u8]) -> Result<Option<&'a Hash>, Halt> {
    cx.db().read::<Hash>(key)
}

fn value(cx: &mut Context<'_>, key: &[u8], field: &[u8]) -> Result<Option<Bytes>, Halt> {
    let hash = hash(cx, key)?;
    Ok(hash.and_then(|hash| hash.get(field)).cloned())
}

fn hset(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    set_all(cx, args, "hset").map(Reply::count)
}

fn hmset(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    set_all(cx, args, "hmset")?;
    Ok(Reply::OK)
}

/// Sets fields. Returns the number of new ones.
fn set_all(cx: &mut Context<'_>, args: &[Bytes], command: &str) -> Result<usize, Halt> {
    let (pairs, rest) = args[2..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Halt::wrong_arity(command));
    }
    let mut hash = cx.db().edit::<Hash>(&args[1])?;
    let mut added = 0;
    for [field, value] in pairs {
        added += usize::from(hash.insert(field, value.clone()));
    }
    // In Redis a field that is set to its old value counts as a change, too.
    hash.touch();
    Ok(added)
}

fn hsetnx(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let mut hash = cx.db().edit::<Hash>(&args[1])?;
    let is_new = !hash.contains(&args[2]);
    if is_new {
        hash.insert(&args[2], args[3].clone());
        hash.touch();
    }
    Ok(Reply::flag(is_new))
}

fn hget(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(Reply::optional(value(cx, &args[1], &args[2])?))
}

fn hmget(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let hash = hash(cx, &args[1])?;
    let values = args[2..].iter().map(|field| {
        let value = hash.and_then(|hash| hash.get(field));
        Reply::optional(value.cloned())
    });
    Ok(Reply::Array(values.collect()))
}

fn hgetall(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let fields = hash(cx, &args[1])?.into_iter().flat_map(Hash::iter);
    let pairs = fields.map(|(field, value)| {
        let (field, value) = (field.clone(), value.clone());
        (Reply::Bulk(field), Reply::Bulk(value))
    });
    Ok(Reply::Map(pairs.collect()))
}

fn hkeys(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let fields = hash(cx, &args[1])?.into_iter().flat_map(Hash::iter);
    Ok(Reply::bulks(fields.map(|(field, _)| field.clone())))
}

fn hvals(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let fields = hash(cx, &args[1])?.into_iter().flat_map(Hash::iter);
    Ok(Reply::bulks(fields.map(|(_, value)| value.clone())))
}

fn hdel(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let Some(mut hash) = cx.db().edit_existing::<Hash>(&args[1])? else {
        return Ok(Reply::count(0));
    };
    let removed = args[2..]
        .iter()
        .filter(|field| hash.remove(field).is_some())
        .count();
    if removed > 0 {
        hash.touch();
    }
    Ok(Reply::count(removed))
}

fn hlen(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(Reply::count(hash(cx, &args[1])?.map_or(0, Hash::len)))
}

fn hexists(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let hash = hash(cx, &args[1])?;
    Ok(Reply::flag(
        hash.is_some_and(|hash| hash.contains(&args[2])),
    ))
}

fn hstrlen(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let value = value(cx, &args[1], &args[2])?;
    Ok(Reply::count(value.map_or(0, |value| value.len())))
}

fn hincrby(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let by = integer(&args[3])?;
    let old = match value(cx, &args[1], &args[2])? {
        Some(value) => {
            number::integer(&value).ok_or(Halt::error("ERR hash value is not an integer"))?
        }
        None => 0,
    };
    let new = old.checked_add(by).ok_or(Halt::OVERFLOW)?;
    let mut digits = BytesMut::new();
    number::put(&mut digits, new);
    replace(cx, args, digits.freeze())?;
    Ok(Reply::Integer(new))
}

fn hincrbyfloat(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let by = &args[3];
    if extended::is_infinite(by).ok_or(Halt::NOT_FLOAT)? {
        return Err(Halt::error("ERR value is NaN or Infinity"));
    }
    let old = value(cx, &args[1], &args[2])?.unwrap_or(Bytes::from_static(b"0"));
    let sum = extended::sum(&old, by).ok_or(Halt::error("ERR hash value is not a float"))?;
    let sum = sum.ok_or(Halt::error("ERR increment would produce NaN or Infinity"))?;
    let sum = Bytes::from(sum);
    replace(cx, args, sum.clone())?;
    Ok(Reply::Bulk(sum))
}

/// Gives the field of a command a value, and leaves its expiry.
fn replace(cx: &mut Context<'_>, args: &[Bytes], value: Bytes) -> Result<(), Halt> {
    let mut hash = cx.db().edit::<Hash>(&args[1])?;
    hash.replace(&args[2], value);
    hash.touch();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::memory::tests::client::Client;

    #[test]
    fn fields_are_set_and_read() {
        let client = Client::new();
        for (command, reply) in [
            ("HSET h a 1 b 2", ":2"),
            ("HSET h a 3 c 4", ":1"),
            (
                "HSET h a",
                "-ERR wrong number of arguments for 'hset' command",
            ),
            (
                "HSET h a 1 b",
                "-ERR wrong number of arguments for 'hset' command",
            ),
            ("HMGET h c x a", "*3 $1 4 $-1 $1 3"),
            ("HGETALL h", "*6 $1 a $1 3 $1 b $1 2 $1 c $1 4"),
            ("HDEL h b x b", ":1"),
            ("HKEYS h", "*2 $1 a $1 c"),
            ("HINCRBY h a 4", ":7"),
            ("HINCRBYFLOAT h a 0.5", "$3 7.5"),
            ("HINCRBY h a 1", "-ERR hash value is not an integer"),
            ("HINCRBYFLOAT h a inf", "-ERR value is NaN or Infinity"),
            ("HSTRLEN h a", ":3"),
            ("HDEL h a c", ":2"),
            ("EXISTS h", ":0"),
            ("HGETALL h", "*0"),
        ] {
            assert_eq!(client.ask(command), reply, "{command}");
        }
    }

    #[test]
    fn all_fields_are_a_map_where_there_are_maps() {
        let client = Client::new();
        client.ask("HELLO 3");
        client.ask("HSET h a 1");
        assert_eq!(client.ask("HGETALL h"), "%1 $1 a $1 1");
        assert_eq!(client.ask("HGETALL nothing"), "%0");
        assert_eq!(client.ask("HRANDFIELD h 2 WITHVALUES"), "*1 *2 $1 a $1 1");
        client.ask("HELLO 2");
        assert_eq!(
            client.ask("HRANDFIELD h -2 WITHVALUES"),
            "*4 $1 a $1 1 $1 a $1 1"
        );
    }
}
