//! OBJECT: how Redis would hold a value, and how long ago it was used.

use bytes::Bytes;

use super::super::help::help;
use crate::memory::{
    command::{
        Command,
        flags::{LOADING, READONLY, STALE},
    },
    context::Context,
    halt::{Halt, Outcome},
    keyspace::{Hash, List, Set, SortedSet, Value},
    number,
    reply::Reply,
};

/// The limits up to which Redis holds a collection in one block, by default.
const BLOCK_ITEMS: usize = 128;
const BLOCK_FIELDS: usize = 512;
const BLOCK_ITEM_BYTES: usize = 64;
const BLOCK_LIST_BYTES: usize = 8192;
const INTEGERS: usize = 512;

/// The longest string that Redis holds in one block with its header.
const EMBEDDED_BYTES: usize = 44;

pub(in crate::memory::commands) const COMMANDS: &[Command] = &[
    Command::new("object", -2, 0, (0, 0, 0), about),
    Command::new("object|encoding", 3, READONLY, (2, 2, 1), object_encoding),
    Command::new("object|freq", 3, READONLY, (2, 2, 1), frequency),
    Command::new("object|idletime", 3, READONLY, (2, 2, 1), idle_time),
    Command::new("object|refcount", 3, READONLY, (2, 2, 1), reference_count),
    Command::new("object|help", 2, LOADING | STALE, (0, 0, 0), about),
];

fn about(_: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(help(
        args,
        &[
            "ENCODING <key>",
            "    Return the kind of internal representation used in order to store the value",
            "    associated with a <key>.",
            "FREQ <key>",
            "    Return the access frequency index of the <key>. The returned integer is",
            "    proportional to the logarithm of the recent access frequency of the key.",
            "IDLETIME <key>",
            "    Return the idle time of the <key>, that is the approximated number of",
            "    seconds elapsed since the last access to the key.",
            "REFCOUNT <key>",
            "    Return the number of references of the value associated with the specified",
            "    <key>.",
        ],
    ))
}

fn object_encoding(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let value = cx.db().peek(&args[2]);
    Ok(value.map_or(Reply::Null, |value| Reply::text(encoding(value))))
}

fn reference_count(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let value = cx.db().peek(&args[2]);
    Ok(value.map_or(Reply::Null, |value| Reply::Integer(references(value))))
}

fn idle_time(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let idle = cx.db().idle(&args[2]);
    Ok(idle.map_or(Reply::Null, |idle| Reply::Integer((idle / 1000) as i64)))
}

fn frequency(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    if !cx.db().contains(&args[2]) {
        return Ok(Reply::Null);
    }
    Err(Halt::error(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that \
         when switching between policies at runtime LRU and LFU data will take some time to adjust.",
    ))
}

fn encoding(value: &Value) -> &'static str {
    match value {
        Value::String(bytes) => string(bytes),
        Value::List(list) => list_encoding(list),
        Value::Hash(hash) => hash_encoding(hash),
        Value::Set(set) => set_encoding(set),
        Value::SortedSet(set) => sorted_set_encoding(set),
        Value::Stream(_) => "stream",
    }
}

/// A string that was once appended to is `raw` in Redis, too. That cannot be told from its bytes.
fn string(bytes: &[u8]) -> &'static str {
    if number::integer(bytes).is_some() {
        "int"
    } else if bytes.len() <= EMBEDDED_BYTES {
        "embstr"
    } else {
        "raw"
    }
}

fn list_encoding(list: &List) -> &'static str {
    // An element has two bytes or more of its own in the block.
    let is_short = list.len() <= BLOCK_LIST_BYTES / 2;
    let bytes = || list.iter().map(|item| item.len() + 2).sum::<usize>();
    if is_short && bytes() <= BLOCK_LIST_BYTES {
        "listpack"
    } else {
        "quicklist"
    }
}

fn hash_encoding(hash: &Hash) -> &'static str {
    if hash.len() <= BLOCK_FIELDS {
        "listpack"
    } else {
        "hashtable"
    }
}

fn set_encoding(set: &Set) -> &'static str {
    if set.len() <= INTEGERS && set.iter().all(|member| number::integer(member).is_some()) {
        "intset"
    } else if set.len() <= BLOCK_ITEMS && set.iter().all(is_short) {
        "listpack"
    } else {
        "hashtable"
    }
}

fn sorted_set_encoding(set: &SortedSet) -> &'static str {
    if set.len() <= BLOCK_ITEMS && set.iter().all(|(_, member)| is_short(member)) {
        "listpack"
    } else {
        "skiplist"
    }
}

fn is_short(item: &Bytes) -> bool {
    item.len() <= BLOCK_ITEM_BYTES
}

/// Redis shares small numbers, which have this count of references.
fn references(value: &Value) -> i64 {
    match value {
        Value::String(bytes)
            if number::integer(bytes).is_some_and(|number| (0..10_000).contains(&number)) =>
        {
            i64::from(i32::MAX)
        }
        _ => 1,
    }
}
