//! The keys among the arguments of a command, and how it uses them.

use bytes::Bytes;

use super::{
    arguments::is,
    number,
    signature::{Signature, flags},
};

/// How a command uses a key. One that neither reads nor writes it only asks about it, as for its type; any right to the
/// key permits that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) reads: bool,
    pub(super) writes: bool,
}

const NONE: Access = Access {
    reads: false,
    writes: false,
};
const READ: Access = Access {
    reads: true,
    writes: false,
};
const WRITE: Access = Access {
    reads: false,
    writes: true,
};
const BOTH: Access = Access {
    reads: true,
    writes: true,
};

/// The access of commands to their first key and to the others, where their flags do not tell it.
const ACCESS: [(Access, Access, &str); 7] = [
    (
        NONE,
        NONE,
        "exists hexists hlen hstrlen llen memory|usage object|encoding object|freq object|idletime object|refcount \
         scard sismember strlen touch type watch xlen zcard",
    ),
    (READ, READ, "xreadgroup"),
    (
        BOTH,
        BOTH,
        "blmpop blpop brpop bzmpop bzpopmax bzpopmin decr decrby eval evalsha fcall getdel getex getset hgetdel hgetex \
         hincrby hincrbyfloat incr incrby incrbyfloat lmpop lpop move rpop setbit spop zincrby zmpop zpopmax zpopmin",
    ),
    (
        BOTH,
        WRITE,
        "blmove brpoplpush lmove rename renamenx rpoplpush smove",
    ),
    (BOTH, READ, "pfmerge"),
    (READ, WRITE, "copy georadius georadiusbymember sort"),
    (
        WRITE,
        READ,
        "bitop geosearchstore sdiffstore sinterstore sunionstore zdiffstore zinterstore zrangestore zunionstore",
    ),
];

/// Commands that state the number of their keys, with the position of that number. Keys that come before it
/// are at the positions that the table of commands has.
pub(super) const COUNTED: [(&str, usize); 18] = [
    ("blmpop", 2),
    ("bzmpop", 2),
    ("eval", 2),
    ("eval_ro", 2),
    ("evalsha", 2),
    ("evalsha_ro", 2),
    ("fcall", 2),
    ("fcall_ro", 2),
    ("lmpop", 1),
    ("sintercard", 1),
    ("zdiff", 1),
    ("zdiffstore", 2),
    ("zinter", 1),
    ("zintercard", 1),
    ("zinterstore", 2),
    ("zmpop", 1),
    ("zunion", 1),
    ("zunionstore", 2),
];

/// Whether there may be keys in a command.
pub(super) fn has(command: &Signature) -> bool {
    let is_counted = COUNTED.iter().any(|(name, _)| *name == command.name);
    command.keys.0 != 0 || is_counted || matches!(command.name, "xread" | "xreadgroup")
}

/// The keys of a command; `None` if its arguments are wrong.
pub(super) fn of<'a>(command: &Signature, args: &'a [Bytes]) -> Option<Vec<&'a Bytes>> {
    let counted = COUNTED.iter().find(|(name, _)| *name == command.name);
    if let Some((_, position)) = counted {
        let mut keys = range(command, args)?;
        let count = number::integer(args.get(*position)?)?;
        let first = position + 1;
        let end = first.checked_add(usize::try_from(count).ok()?)?;
        keys.extend(args.get(first..end)?);
        return Some(keys);
    }
    match command.name {
        "xread" | "xreadgroup" => streams(args),
        "sort" => {
            let mut keys = range(command, args)?;
            keys.extend(sort_target(args));
            Some(keys)
        }
        "georadius" => Some(with_destinations(range(command, args)?, args, 6)),
        "georadiusbymember" => Some(with_destinations(range(command, args)?, args, 5)),
        _ => range(command, args),
    }
}

/// The keys by which a node of a cluster tells the slot of a command; `None` if its arguments are wrong. Redis reads some
/// commands otherwise for that than for the rights of users.
pub(super) fn for_slots<'a>(command: &Signature, args: &'a [Bytes]) -> Option<Vec<&'a Bytes>> {
    match command.name {
        "xread" | "xreadgroup" if has_other_words(args) => None,
        "georadius" | "georadiusbymember" => {
            let mut keys = range(command, args)?;
            keys.extend(last_destination(args));
            Some(keys)
        }
        _ => of(command, args),
    }
}

/// Whether there is something between the options of `XREAD` or `XREADGROUP` that is none.
fn has_other_words(args: &[Bytes]) -> bool {
    let mut words = args.iter().skip(1);
    while let Some(word) = words.next() {
        if is(word, "STREAMS") {
            return false;
        } else if is(word, "BLOCK") || is(word, "COUNT") {
            words.next();
        } else if is(word, "GROUP") {
            words.nth(1);
        } else if !is(word, "NOACK") {
            return true;
        }
    }
    false
}

/// Of the destinations of `GEORADIUS` and `GEORADIUSBYMEMBER`, the last.
fn last_destination(args: &[Bytes]) -> Option<&Bytes> {
    let mut words = args.iter().skip(5);
    let mut last = None;
    while let Some(word) = words.next() {
        if is(word, "STORE") || is(word, "STOREDIST") {
            last = words.next().or(last);
        }
    }
    last
}

/// The keys at the positions that the table of commands has.
fn range<'a>(command: &Signature, args: &'a [Bytes]) -> Option<Vec<&'a Bytes>> {
    let (first, last, step) = command.keys;
    if first == 0 {
        return Some(Vec::new());
    }
    let last = if last < 0 {
        args.len() as i32 + last
    } else {
        last
    };
    let positions = (first..=last).step_by(usize::try_from(step).unwrap_or(1));
    positions
        .map(|position| args.get(position as usize))
        .collect()
}

/// The keys of a command and how it uses each; none if its arguments are wrong.
pub(super) fn used<'a>(command: &Signature, args: &'a [Bytes]) -> Vec<(&'a Bytes, Access)> {
    // Channels stand where keys do in these.
    if command.has(flags::PUBSUB) {
        return Vec::new();
    }
    let (first, others) = access(command, args);
    let keys = of(command, args).unwrap_or_default().into_iter();
    keys.enumerate()
        .map(|(index, key)| (key, if index == 0 { first } else { others }))
        .collect()
}

fn access(command: &Signature, args: &[Bytes]) -> (Access, Access) {
    let named = ACCESS.iter().find(|(_, _, names)| {
        let mut names = names.split_ascii_whitespace();
        names.any(|name| name == command.name)
    });
    if let Some((first, others, _)) = named {
        return (*first, *others);
    }
    let behind = |position: usize| args.get(position..).unwrap_or_default();
    let alike = match command.name {
        "set" if behind(3).iter().any(|word| is(word, "GET")) => BOTH,
        "bitfield" if only_gets(behind(2)) => READ,
        "bitfield" => BOTH,
        _ if command.has(flags::WRITE) => WRITE,
        _ => READ,
    };
    (alike, alike)
}

/// Whether BITFIELD has no other operation than GET, which has a type and an offset. OVERFLOW, with a kind, is about
/// the operations that follow it.
fn only_gets(mut operations: &[Bytes]) -> bool {
    loop {
        operations = match operations {
            [] => return true,
            [word, _, _, rest @ ..] if is(word, "GET") => rest,
            [word, _, rest @ ..] if is(word, "OVERFLOW") => rest,
            _ => return false,
        };
    }
}

/// Of the arguments behind STREAMS the first half are keys.
fn streams(args: &[Bytes]) -> Option<Vec<&Bytes>> {
    let start = args.iter().position(|word| is(word, "STREAMS"))? + 1;
    let count = args.len() - start;
    let is_even = count > 0 && count.is_multiple_of(2);
    is_even.then(|| args[start..start + count / 2].iter().collect())
}

/// The key to which SORT writes: the one of its last STORE. What belongs to another option is none itself.
fn sort_target(args: &[Bytes]) -> Option<&Bytes> {
    let (mut target, mut next) = (None, 2);
    while let Some(word) = args.get(next) {
        next += 1;
        if is(word, "LIMIT") {
            next += 2;
        } else if is(word, "BY") || is(word, "GET") {
            next += 1;
        } else if is(word, "STORE") {
            target = args.get(next).or(target);
        }
    }
    target
}

/// Adds the keys to which GEORADIUS and GEORADIUSBYMEMBER write: for each of the words that name one, the first.
fn with_destinations<'a>(
    mut keys: Vec<&'a Bytes>,
    args: &'a [Bytes],
    from: usize,
) -> Vec<&'a Bytes> {
    let pairs = args.get(from..).unwrap_or_default().windows(2);
    for word in ["STORE", "STOREDIST"] {
        let pair = pairs.clone().find(|pair| is(&pair[0], word));
        keys.extend(pair.map(|pair| &pair[1]));
    }
    keys
}
