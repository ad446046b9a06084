//! Streams and their groups of consumers.

mod groups;
mod ids;
mod info;
mod pending;
mod range;
mod read;
mod write;

use bytes::Bytes;

use crate::memory::{
    command::{
        Command,
        flags::{BLOCKING, DENYOOM, FAST, MOVABLE_KEYS, READONLY, WRITE},
    },
    context::Context,
    halt::{Halt, text_of},
    keyspace::{Entry, Group, Id, Stream},
    reply::Reply,
};

const READS: u32 = BLOCKING | MOVABLE_KEYS;

pub(super) use groups::XGROUP;
pub(super) use info::XINFO;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("xadd", -5, WRITE | DENYOOM | FAST, (1, 1, 1), write::xadd),
    Command::new("xtrim", -4, WRITE, (1, 1, 1), write::xtrim),
    Command::new("xdel", -3, WRITE | FAST, (1, 1, 1), write::xdel),
    Command::new(
        "xsetid",
        -3,
        WRITE | DENYOOM | FAST,
        (1, 1, 1),
        write::xsetid,
    ),
    Command::new("xlen", 2, READONLY | FAST, (1, 1, 1), range::xlen),
    Command::new("xrange", -4, READONLY, (1, 1, 1), range::xrange),
    Command::new("xrevrange", -4, READONLY, (1, 1, 1), range::xrevrange),
    Command::new("xread", -4, READONLY | READS, (0, 0, 0), read::xread),
    Command::new("xreadgroup", -7, WRITE | READS, (0, 0, 0), read::xreadgroup),
    Command::new("xack", -4, WRITE | FAST, (1, 1, 1), groups::xack),
    Command::new("xpending", -3, READONLY, (1, 1, 1), pending::xpending),
    Command::new("xclaim", -6, WRITE | FAST, (1, 1, 1), pending::xclaim),
    Command::new(
        "xautoclaim",
        -6,
        WRITE | FAST,
        (1, 1, 1),
        pending::xautoclaim,
    ),
];

fn id_reply(id: Id) -> Reply {
    Reply::Bulk(id.to_bytes())
}

fn entry_reply(entry: &Entry) -> Reply {
    let fields = Reply::bulks(entry.fields.iter().cloned());
    Reply::Array(vec![id_reply(entry.id), fields])
}

/// The stream of a key and a group of it; an error if one of them does not exist.
fn group<'a>(
    cx: &'a mut Context<'_>,
    key: &Bytes,
    name: &Bytes,
) -> Result<(&'a Stream, &'a Group), Halt> {
    let stream = cx.db().read::<Stream>(key)?;
    let found = stream.and_then(|stream| Some((stream, stream.groups().get(name)?)));
    found.ok_or_else(|| {
        let (key, name) = (text_of(key), text_of(name));
        Halt::error(format!(
            "NOGROUP No such key '{key}' or consumer group '{name}'"
        ))
    })
}

#[cfg(test)]
mod tests;
