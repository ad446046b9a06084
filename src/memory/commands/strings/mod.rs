//! Strings and counters.

mod subsequence;

use bytes::{Bytes, BytesMut};

use crate::memory::{
    arguments::{Words, integer, is},
    command::{
        Command,
        flags::{DENYOOM, FAST, READONLY, WRITE},
    },
    context::Context,
    extended,
    halt::{Halt, Outcome},
    keyspace::{Millis, Value},
    number,
    reply::Reply,
    request::MAX_BULK,
};

const WRITES: u32 = WRITE | DENYOOM;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("get", 2, READONLY | FAST, (1, 1, 1), get),
    Command::new("set", -3, WRITES, (1, 1, 1), set),
    Command::new("setnx", 3, WRITES | FAST, (1, 1, 1), setnx),
    Command::new("setex", 4, WRITES, (1, 1, 1), setex),
    Command::new("psetex", 4, WRITES, (1, 1, 1), psetex),
    Command::new("getset", 3, WRITES | FAST, (1, 1, 1), getset),
    Command::new("getdel", 2, WRITE | FAST, (1, 1, 1), getdel),
    Command::new("getex", -2, WRITE | FAST, (1, 1, 1), getex),
    Command::new("mget", -2, READONLY | FAST, (1, -1, 1), mget),
    Command::new("mset", -3, WRITES, (1, -1, 2), mset),
    Command::new("msetnx", -3, WRITES, (1, -1, 2), msetnx),
    Command::new("incr", 2, WRITES | FAST, (1, 1, 1), incr),
    Command::new("decr", 2, WRITES | FAST, (1, 1, 1), decr),
    Command::new("incrby", 3, WRITES | FAST, (1, 1, 1), incrby),
    Command::new("decrby", 3, WRITES | FAST, (1, 1, 1), decrby),
    Command::new("incrbyfloat", 3, WRITES | FAST, (1, 1, 1), incrbyfloat),
    Command::new("append", 3, WRITES | FAST, (1, 1, 1), append),
    Command::new("strlen", 2, READONLY | FAST, (1, 1, 1), strlen),
    Command::new("getrange", 4, READONLY, (1, 1, 1), getrange),
    Command::new("substr", 4, READONLY, (1, 1, 1), getrange),
    Command::new("setrange", 4, WRITES, (1, 1, 1), setrange),
    Command::new("lcs", -3, READONLY, (1, 2, 1), subsequence::lcs),
];

const TOO_LONG: Halt = Halt::Error(std::borrow::Cow::Borrowed(
    "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
));

fn string(cx: &mut Context<'_>, key: &[u8]) -> Result<Option<Bytes>, Halt> {
    Ok(cx.db().read::<Bytes>(key)?.cloned())
}

fn get(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(Reply::optional(string(cx, &args[1])?))
}

/// When a key is to expire, by the options of SET and GETEX.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expiry {
    /// At this time; one that has passed removes the key.
    At(Millis),
    Keep,
    Never,
}

/// The time of an option such as EX, from its word and its value.
fn expiry(word: &[u8], value: &[u8], now: Millis, command: &str) -> Result<Expiry, Halt> {
    let is_seconds = is(word, "EX") || is(word, "EXAT");
    let is_relative = is(word, "EX") || is(word, "PX");
    let amount = integer(value)?;
    let millis = if is_seconds {
        amount.checked_mul(1000)
    } else {
        Some(amount)
    };
    let at = millis.filter(|millis| *millis > 0).and_then(|millis| {
        let base = if is_relative { now as i64 } else { 0 };
        millis.checked_add(base)
    });
    at.map(|at| Expiry::At(at as Millis))
        .ok_or_else(|| Halt::invalid_expire(command))
}

fn is_expiry_word(word: &[u8]) -> bool {
    ["EX", "PX", "EXAT", "PXAT"]
        .iter()
        .any(|known| is(word, known))
}

fn apply(cx: &mut Context<'_>, key: &Bytes, expiry: Expiry) {
    let now = cx.now;
    match expiry {
        Expiry::Keep => {}
        Expiry::Never => cx.db().set_expiry(key, None),
        Expiry::At(at) if at <= now => drop(cx.db().remove(key)),
        Expiry::At(at) => cx.db().set_expiry(key, Some(at)),
    }
}

fn set(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (key, value) = (&args[1], &args[2]);
    let (mut only_if_exists, mut wants_old, mut expires, mut time) = (None, false, None, None);
    let mut words = Words::new(&args[3..]);
    while let Some(word) = words.next() {
        // The same option may come twice; the last time counts.
        let is_repeated =
            time.is_some_and(|(before, _): (&Bytes, &Bytes)| before.eq_ignore_ascii_case(word));
        if is(word, "NX") && only_if_exists.is_none_or(|exists: bool| !exists) {
            only_if_exists = Some(false);
        } else if is(word, "XX") && only_if_exists.is_none_or(|exists| exists) {
            only_if_exists = Some(true);
        } else if is(word, "GET") {
            wants_old = true;
        } else if is(word, "KEEPTTL") && matches!(expires, None | Some(Expiry::Keep)) {
            expires = Some(Expiry::Keep);
        } else if is_expiry_word(word) && (expires.is_none() || is_repeated) && !words.is_empty() {
            time = Some((word, words.expect()?));
            expires = Some(Expiry::Never);
        } else {
            return Err(Halt::SYNTAX);
        }
    }
    if let Some((word, value)) = time {
        expires = Some(expiry(word, value, cx.now, "set")?);
    }
    let old = if wants_old { string(cx, key)? } else { None };
    let is_permitted = only_if_exists.is_none_or(|exists| exists == cx.db().contains(key));
    if is_permitted {
        store(cx, key, value, expires.unwrap_or(Expiry::Never));
    }
    Ok(match (wants_old, is_permitted) {
        (true, _) => Reply::optional(old),
        (false, true) => Reply::OK,
        (false, false) => Reply::Null,
    })
}

fn store(cx: &mut Context<'_>, key: &Bytes, value: &Bytes, expires: Expiry) {
    cx.db().replace(key, Value::String(value.clone()));
    apply(cx, key, expires);
}

fn setnx(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let is_new = !cx.db().contains(&args[1]);
    if is_new {
        store(cx, &args[1], &args[2], Expiry::Never);
    }
    Ok(Reply::flag(is_new))
}

fn setex(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let expires = expiry(b"EX", &args[2], cx.now, "setex")?;
    store(cx, &args[1], &args[3], expires);
    Ok(Reply::OK)
}

fn psetex(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let expires = expiry(b"PX", &args[2], cx.now, "psetex")?;
    store(cx, &args[1], &args[3], expires);
    Ok(Reply::OK)
}

fn getset(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let old = string(cx, &args[1])?;
    store(cx, &args[1], &args[2], Expiry::Never);
    Ok(Reply::optional(old))
}

fn getdel(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let old = string(cx, &args[1])?;
    cx.db().remove(&args[1]);
    Ok(Reply::optional(old))
}

fn getex(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (is_persistent, time) = match &args[2..] {
        [] => (false, None),
        [word] if is(word, "PERSIST") => (true, None),
        [word, time] if is_expiry_word(word) => (false, Some((word, time))),
        _ => return Err(Halt::SYNTAX),
    };
    let Some(value) = string(cx, &args[1])? else {
        return Ok(Reply::Null);
    };
    let expires = match time {
        Some((word, time)) => Some(expiry(word, time, cx.now, "getex")?),
        None if is_persistent && cx.db().expiry(&args[1]).is_some() => Some(Expiry::Never),
        None => None,
    };
    if let Some(expires) = expires {
        apply(cx, &args[1], expires);
        // Unlike a SET, it has changed nothing else.
        cx.db().touch(&args[1]);
    }
    Ok(Reply::Bulk(value))
}

fn mget(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    // A key of another type has no string, and is no error here.
    let values = args[1..].iter().map(|key| match cx.db().value(key) {
        Some(Value::String(bytes)) => Reply::Bulk(bytes.clone()),
        _ => Reply::Null,
    });
    Ok(Reply::Array(values.collect()))
}

fn mset(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    for (key, value) in pairs("mset", args)? {
        store(cx, key, value, Expiry::Never);
    }
    Ok(Reply::OK)
}

fn msetnx(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let pairs: Vec<_> = pairs("msetnx", args)?.collect();
    let are_new = !pairs.iter().any(|(key, _)| cx.db().contains(key));
    if are_new {
        for (key, value) in pairs {
            store(cx, key, value, Expiry::Never);
        }
    }
    Ok(Reply::flag(are_new))
}

fn pairs<'a>(
    command: &str,
    args: &'a [Bytes],
) -> Result<impl Iterator<Item = (&'a Bytes, &'a Bytes)>, Halt> {
    let (pairs, rest) = args[1..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Halt::wrong_arity(command));
    }
    Ok(pairs.iter().map(|[key, value]| (key, value)))
}

fn incr(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    add(cx, &args[1], 1)
}

fn decr(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    add(cx, &args[1], -1)
}

fn incrby(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    add(cx, &args[1], integer(&args[2])?)
}

fn decrby(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let by = integer(&args[2])?.checked_neg();
    add(
        cx,
        &args[1],
        by.ok_or(Halt::error("ERR decrement would overflow"))?,
    )
}

fn add(cx: &mut Context<'_>, key: &Bytes, by: i64) -> Outcome {
    let old = match string(cx, key)? {
        Some(bytes) => integer(&bytes)?,
        None => 0,
    };
    let new = old.checked_add(by).ok_or(Halt::OVERFLOW)?;
    let mut digits = BytesMut::new();
    number::put(&mut digits, new);
    store(cx, key, &digits.freeze(), Expiry::Keep);
    Ok(Reply::Integer(new))
}

fn incrbyfloat(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let old = match string(cx, &args[1])? {
        Some(bytes) => bytes,
        None => Bytes::from_static(b"0"),
    };
    let sum = extended::sum(&old, &args[2]).ok_or(Halt::NOT_FLOAT)?;
    let sum = sum.ok_or(Halt::error("ERR increment would produce NaN or Infinity"))?;
    let sum = Bytes::from(sum);
    store(cx, &args[1], &sum, Expiry::Keep);
    Ok(Reply::Bulk(sum))
}

fn append(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let mut value = cx.db().edit::<Bytes>(&args[1])?;
    let length = value.len() + args[2].len();
    if length as i64 > MAX_BULK {
        return Err(TOO_LONG);
    }
    let mut bytes = grown(std::mem::take(&mut *value), length);
    bytes.extend_from_slice(&args[2]);
    *value = bytes.freeze();
    value.touch();
    Ok(Reply::count(length))
}

/// The bytes to be changed, without a copy where nobody else has them.
fn grown(bytes: Bytes, length: usize) -> BytesMut {
    let mut bytes = BytesMut::from(bytes);
    bytes.reserve(length.saturating_sub(bytes.len()));
    bytes
}

fn strlen(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let value = cx.db().read::<Bytes>(&args[1])?;
    Ok(Reply::count(value.map_or(0, Bytes::len)))
}

fn getrange(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (start, end) = (integer(&args[2])?, integer(&args[3])?);
    let value = string(cx, &args[1])?.unwrap_or_default();
    let length = value.len() as i64;
    if start < 0 && end < 0 && start > end {
        return Ok(Reply::text(""));
    }
    let from_end = |position: i64| {
        if position < 0 {
            (length + position).max(0)
        } else {
            position
        }
    };
    let (start, end) = (from_end(start), from_end(end).min(length - 1));
    if start > end || length == 0 {
        return Ok(Reply::text(""));
    }
    Ok(Reply::Bulk(value.slice(start as usize..=end as usize)))
}

fn setrange(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let offset = integer(&args[2])?;
    let offset = usize::try_from(offset).map_err(|_| Halt::error("ERR offset is out of range"))?;
    let piece = &args[3];
    let old = string(cx, &args[1])?;
    if piece.is_empty() {
        return Ok(Reply::count(old.map_or(0, |old| old.len())));
    }
    let end = offset.saturating_add(piece.len());
    if end as u64 > MAX_BULK as u64 {
        return Err(TOO_LONG);
    }
    drop(old);
    let mut value = cx.db().edit::<Bytes>(&args[1])?;
    let mut bytes = grown(std::mem::take(&mut *value), end);
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(piece);
    let length = bytes.len();
    *value = bytes.freeze();
    value.touch();
    Ok(Reply::count(length))
}

#[cfg(test)]
mod tests;
