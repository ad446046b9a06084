//! Strings as rows of bits. The first bit is the highest one of the first byte.

mod fields;
mod ranges;

use bytes::{Bytes, BytesMut};

use crate::memory::{
    arguments::is,
    command::{
        Command,
        flags::{DENYOOM, FAST, READONLY, WRITE},
    },
    context::Context,
    halt::{Halt, Outcome},
    keyspace::Value,
    number,
    reply::Reply,
    request::MAX_BULK,
};

const WRITES: u32 = WRITE | DENYOOM;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("setbit", 4, WRITES, (1, 1, 1), setbit),
    Command::new("getbit", 3, READONLY | FAST, (1, 1, 1), getbit),
    Command::new("bitcount", -2, READONLY, (1, 1, 1), ranges::bitcount),
    Command::new("bitpos", -3, READONLY, (1, 1, 1), ranges::bitpos),
    Command::new("bitop", -4, WRITES, (2, -1, 1), bitop),
    Command::new("bitfield", -2, WRITES, (1, 1, 1), fields::bitfield),
    Command::new(
        "bitfield_ro",
        -2,
        READONLY | FAST,
        (1, 1, 1),
        fields::bitfield_ro,
    ),
];

const BAD_OFFSET: Halt = Halt::Error(std::borrow::Cow::Borrowed(
    "ERR bit offset is not an integer or out of range",
));

/// The position of a bit.
fn offset(argument: &[u8]) -> Result<usize, Halt> {
    number::integer(argument)
        .and_then(checked_offset)
        .ok_or(BAD_OFFSET)
}

fn checked_offset(offset: i64) -> Option<usize> {
    let is_within = offset >= 0 && offset >> 3 < MAX_BULK;
    is_within.then_some(offset as usize)
}

fn bit(bytes: &[u8], offset: usize) -> bool {
    let byte = bytes.get(offset / 8).copied().unwrap_or(0);
    byte & mask(offset) != 0
}

/// The bit of a byte that an offset names.
fn mask(offset: usize) -> u8 {
    0x80 >> (offset % 8)
}

fn set_bit(bytes: &mut [u8], offset: usize, is_set: bool) {
    if is_set {
        bytes[offset / 8] |= mask(offset);
    } else {
        bytes[offset / 8] &= !mask(offset);
    }
}

/// Changes a string that is long enough for this bit: it is made so. The change tells whether it wrote another value,
/// or an equal one, or nothing: then it is none, however long the string has become.
fn edit<R>(
    cx: &mut Context<'_>,
    key: &Bytes,
    last: usize,
    change: impl FnOnce(&mut [u8]) -> (R, Option<bool>),
) -> Result<R, Halt> {
    let is_new = !cx.db().contains(key);
    let mut value = cx.db().edit::<Bytes>(key)?;
    let length = value.len().max(last / 8 + 1);
    let is_longer = length > value.len();
    let mut bytes = BytesMut::from(std::mem::take(&mut *value));
    bytes.resize(length, 0);
    let (result, written) = change(&mut bytes);
    *value = bytes.freeze();
    if written.is_some_and(|is_other| is_new || is_longer || is_other) {
        value.touch();
    }
    Ok(result)
}

fn setbit(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let offset = offset(&args[2])?;
    let new = match number::integer(&args[3]) {
        Some(new @ 0..=1) => new == 1,
        _ => {
            return Err(Halt::error("ERR bit is not an integer or out of range"));
        }
    };
    let old = edit(cx, &args[1], offset, |bytes| {
        let old = bit(bytes, offset);
        set_bit(bytes, offset, new);
        (old, Some(old != new))
    })?;
    Ok(Reply::flag(old))
}

fn getbit(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let offset = offset(&args[2])?;
    let bytes = cx.db().read::<Bytes>(&args[1])?;
    Ok(Reply::flag(bytes.is_some_and(|bytes| bit(bytes, offset))))
}

fn bitop(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let combine: fn(u8, u8) -> u8 = match &args[1] {
        word if is(word, "AND") => |one, other| one & other,
        word if is(word, "OR") => |one, other| one | other,
        word if is(word, "XOR") => |one, other| one ^ other,
        // The other one is full.
        word if is(word, "NOT") => |one, other| !one & other,
        _ => return Err(Halt::SYNTAX),
    };
    let is_not = is(&args[1], "NOT");
    if is_not && args.len() != 4 {
        return Err(Halt::error(
            "ERR BITOP NOT must be called with a single source key.",
        ));
    }
    let mut sources = Vec::with_capacity(args.len() - 3);
    for key in &args[3..] {
        let bytes = cx.db().read::<Bytes>(key)?;
        sources.push(bytes.cloned().unwrap_or_default());
    }
    let length = sources.iter().map(Bytes::len).max().unwrap_or(0);
    let byte = |source: &Bytes, at: usize| source.get(at).copied().unwrap_or(0);
    let result = (0..length).map(|at| {
        let first = byte(&sources[0], at);
        if is_not {
            combine(first, u8::MAX)
        } else {
            let others = sources[1..].iter();
            others.fold(first, |result, source| combine(result, byte(source, at)))
        }
    });
    let result: Vec<u8> = result.collect();
    if length == 0 {
        cx.db().remove(&args[2]);
    } else {
        cx.db().insert(&args[2], Value::String(result.into()));
    }
    Ok(Reply::count(length))
}

#[cfg(test)]
mod tests {
    use crate::memory::tests::client::Client;

    #[test]
    fn wrong_arguments_are_errors_without_a_key_too() {
        let client = Client::new();
        for (command, reply) in [
            (
                "BITCOUNT none x 1",
                "-ERR value is not an integer or out of range",
            ),
            ("BITCOUNT none 0 1 nonsense", "-ERR syntax error"),
            ("BITCOUNT none 0", "-ERR syntax error"),
            ("BITPOS none 1 0 1 nonsense", "-ERR syntax error"),
            (
                "BITPOS none 1 x",
                "-ERR value is not an integer or out of range",
            ),
            ("BITPOS none 1", ":-1"),
            ("BITPOS none 0", ":0"),
            ("BITCOUNT none", ":0"),
        ] {
            assert_eq!(client.ask(command), reply, "{command}");
        }
    }

    #[test]
    fn bits_are_set_beyond_the_end() {
        let client = Client::new();
        for (command, reply) in [
            ("SETBIT b 7 1", ":0"),
            ("SETBIT b 7 0", ":1"),
            ("SETBIT b 23 1", ":0"),
            ("STRLEN b", ":3"),
            ("BITPOS b 1", ":23"),
            ("BITFIELD b SET u8 0 255 GET u4 0", "*2 :0 :15"),
            ("BITFIELD b OVERFLOW FAIL INCRBY u8 0 1", "*1 $-1"),
            ("BITFIELD b OVERFLOW SAT INCRBY i8 #1 -500", "*1 :-128"),
            ("BITFIELD b INCRBY u8 0 2", "*1 :1"),
        ] {
            assert_eq!(client.ask(command), reply, "{command}");
        }
    }
}
