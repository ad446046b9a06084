//! XREAD and XREADGROUP: new entries of several streams.

use bytes::Bytes;

use super::{entry_reply, id_reply, ids};
use crate::memory::{
    arguments::{integer, is},
    context::Context,
    halt::{Halt, Outcome, Wait, text_of},
    keyspace::{Id, Stream},
    number,
    reply::{Protocol, Reply},
};

struct Read<'a> {
    /// The names of the group and of the consumer.
    group: Option<(&'a Bytes, &'a Bytes)>,
    needs_no_ack: bool,
    most: usize,
    /// Milliseconds; 0 is no end.
    block: Option<u64>,
    /// The number of arguments before the keys.
    keys_at: usize,
    keys: &'a [Bytes],
    ids: &'a [Bytes],
}

/// The entries of a stream that are wanted.
#[derive(Clone, Copy, PartialEq)]
enum From {
    After(Id),
    /// Those that the group has not seen.
    New,
}

pub(super) fn xread(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let read = parse(args, false, cx.now)?;
    run(cx, args, &read)
}

pub(super) fn xreadgroup(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let read = parse(args, true, cx.now)?;
    if read.group.is_none() {
        return Err(Halt::error("ERR Missing GROUP option for XREADGROUP"));
    }
    run(cx, args, &read)
}

fn parse(args: &[Bytes], is_group: bool, now: u64) -> Result<Read<'_>, Halt> {
    let (mut group, mut needs_no_ack, mut most, mut block) = (None, false, 0, None);
    let mut position = 1;
    while let Some(word) = args.get(position) {
        let left = &args[position + 1..];
        let taken = match left {
            [timeout, ..] if is(word, "BLOCK") => {
                block = Some(milliseconds(timeout, now)?);
                1
            }
            [count, ..] if is(word, "COUNT") => {
                most = integer(count)?.max(0) as usize;
                1
            }
            [_, ..] if is(word, "STREAMS") => {
                let (keys, ids) = left.split_at(left.len() / 2);
                if keys.len() != ids.len() {
                    return Err(unbalanced(is_group));
                }
                return Ok(Read {
                    group,
                    needs_no_ack,
                    most: if most == 0 { usize::MAX } else { most },
                    block,
                    keys_at: position + 1,
                    keys,
                    ids,
                });
            }
            [name, consumer, ..] if is(word, "GROUP") => {
                if !is_group {
                    return Err(only_for_groups("GROUP"));
                }
                group = Some((name, consumer));
                2
            }
            _ if is(word, "NOACK") => {
                if !is_group {
                    return Err(only_for_groups("NOACK"));
                }
                needs_no_ack = true;
                0
            }
            _ => return Err(Halt::SYNTAX),
        };
        position += 1 + taken;
    }
    Err(Halt::SYNTAX)
}

fn milliseconds(argument: &[u8], now: u64) -> Result<u64, Halt> {
    const NO_INTEGER: &str = "ERR timeout is not an integer or out of range";
    let timeout = number::integer(argument).ok_or(Halt::error(NO_INTEGER))?;
    let timeout = u64::try_from(timeout).map_err(|_| Halt::error("ERR timeout is negative"))?;
    if timeout > i64::MAX as u64 - now {
        return Err(Halt::error("ERR timeout is out of range"));
    }
    Ok(timeout)
}

fn unbalanced(is_group: bool) -> Halt {
    let (command, sign) = if is_group {
        ("xreadgroup", '>')
    } else {
        ("xread", '$')
    };
    Halt::error(format!(
        "ERR Unbalanced '{command}' list of streams: for each stream key an ID or '{sign}' must be specified."
    ))
}

fn only_for_groups(option: &str) -> Halt {
    Halt::error(format!(
        "ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
    ))
}

fn run(cx: &mut Context<'_>, args: &[Bytes], read: &Read<'_>) -> Outcome {
    let mut froms = Vec::with_capacity(read.ids.len());
    for (key, id) in read.keys.iter().zip(read.ids) {
        froms.push(from(cx, read, key, id)?);
    }
    let mut found = Vec::new();
    for (key, from) in read.keys.iter().zip(&froms) {
        let entries = match read.group {
            None => entries(cx, read, key, *from)?,
            Some((group, consumer)) => group_entries(cx, read, key, *from, group, consumer)?,
        };
        found.extend(entries.map(|entries| (Reply::Bulk(key.clone()), Reply::Array(entries))));
    }
    if !found.is_empty() {
        return Ok(by_key(cx.session().protocol, found));
    }
    match read.block {
        None => Ok(Reply::NullArray),
        Some(timeout) => Err(wait(args, read, &froms, timeout)),
    }
}

fn by_key(protocol: Protocol, found: Vec<(Reply, Reply)>) -> Reply {
    match protocol {
        Protocol::Resp3 => Reply::Map(found),
        Protocol::Resp2 => {
            let pairs = found.into_iter();
            Reply::Array(
                pairs
                    .map(|(key, entries)| Reply::Array(vec![key, entries]))
                    .collect(),
            )
        }
    }
}

/// The wait for new entries. `$` and `+` are those of now, whenever the command is run again.
fn wait(args: &[Bytes], read: &Read<'_>, froms: &[From], timeout: u64) -> Halt {
    let mut again = args.to_vec();
    let ids = &mut again[read.keys_at + read.keys.len()..];
    for (id, from) in ids.iter_mut().zip(froms) {
        if let From::After(after) = from {
            *id = after.to_bytes();
        }
    }
    Halt::Wait(Wait {
        keys: read.keys.to_vec(),
        timeout: (timeout > 0).then_some(timeout),
        on_timeout: Reply::NullArray,
        again: Some(again),
    })
}

fn from(cx: &mut Context<'_>, read: &Read<'_>, key: &Bytes, id: &[u8]) -> Result<From, Halt> {
    let stream = cx.db().read::<Stream>(key)?;
    if let Some((group, _)) = read.group
        && !stream.is_some_and(|stream| stream.groups().contains_key(group))
    {
        return Err(Halt::error(format!(
            "NOGROUP No such key '{}' or consumer group '{}' in XREADGROUP with GROUP option",
            text_of(key),
            text_of(group)
        )));
    }
    match id {
        b"$" | b"+" if read.group.is_some() => Err(meaningless(id)),
        b"$" => Ok(From::After(stream.map_or(Id::MIN, |stream| stream.last_id))),
        // The last entry is wanted.
        b"+" => {
            let last = stream.and_then(Stream::last);
            let before = last.and_then(|last| last.id.previous());
            Ok(From::After(before.unwrap_or(Id::MIN)))
        }
        b">" if read.group.is_some() => Ok(From::New),
        b">" => Err(Halt::error(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> \
             option.",
        )),
        _ => match ids::strict(id)? {
            // Redis has no other sign for new entries.
            Id::MAX if read.group.is_some() => Ok(From::New),
            id => Ok(From::After(id)),
        },
    }
}

fn meaningless(id: &[u8]) -> Halt {
    let id = text_of(id);
    Halt::error(format!(
        "ERR The {id} ID is meaningless in the context of XREADGROUP: you want to read the history of this \
         consumer by specifying a proper ID, or use the > ID to get new messages. The {id} ID would just return \
         an empty result set."
    ))
}

fn entries(
    cx: &mut Context<'_>,
    read: &Read<'_>,
    key: &Bytes,
    from: From,
) -> Result<Option<Vec<Reply>>, Halt> {
    let From::After(id) = from else {
        return Ok(None);
    };
    let Some(stream) = cx.db().read::<Stream>(key)? else {
        return Ok(None);
    };
    let entries: Vec<_> = stream.after(id).take(read.most).map(entry_reply).collect();
    Ok((!entries.is_empty()).then_some(entries))
}

fn group_entries(
    cx: &mut Context<'_>,
    read: &Read<'_>,
    key: &Bytes,
    from: From,
    group: &Bytes,
    consumer: &Bytes,
) -> Result<Option<Vec<Reply>>, Halt> {
    let now = cx.now;
    let Some(mut stream) = cx.db().edit_existing::<Stream>(key)? else {
        return Ok(None);
    };
    if let Some(mut group) = stream.group_mut(group) {
        group.see(consumer, now);
    }
    match from {
        From::After(id) => Ok(Some(history(&mut stream, read, id, group, consumer, now))),
        From::New => {
            let pending_at = (!read.needs_no_ack).then_some(consumer);
            let ids = stream.deliver(group, read.most, pending_at, now);
            let entries = ids.iter().filter_map(|id| stream.get(*id));
            let entries: Vec<_> = entries.map(entry_reply).collect();
            Ok((!entries.is_empty()).then_some(entries))
        }
    }
}

/// Entries that are pending at a consumer, with greater ids; those that were deleted without fields.
fn history(
    stream: &mut Stream,
    read: &Read<'_>,
    after: Id,
    group: &Bytes,
    consumer: &Bytes,
    now: u64,
) -> Vec<Reply> {
    let known = stream.groups().get(group);
    let Some(consumer) = known.and_then(|group| group.consumers().get(consumer)) else {
        return Vec::new();
    };
    let Some(start) = after.next() else {
        return Vec::new();
    };
    let pending = consumer.pending.range(start..).take(read.most).copied();
    let pending: Vec<Id> = pending.collect();
    let reply = |id: Id| match stream.get(id) {
        Some(entry) => (Some(id), entry_reply(entry)),
        None => (None, Reply::Array(vec![id_reply(id), Reply::NullArray])),
    };
    let (present, replies): (Vec<Option<Id>>, Vec<Reply>) = pending.into_iter().map(reply).unzip();
    if let Some(mut group) = stream.group_mut(group) {
        for id in present.into_iter().flatten() {
            group.redeliver(id, now);
        }
    }
    replies
}
