//! XINFO: the state of a stream, of its groups, and of their consumers.

use bytes::Bytes;

use super::{super::help::help, entry_reply, id_reply};
use crate::memory::{
    arguments::{integer, is},
    command::{
        Command,
        flags::{LOADING, READONLY, STALE},
    },
    context::Context,
    halt::{Halt, Outcome, text_of},
    keyspace::{Consumer, Group, Millis, Stream},
    reply::Reply,
};

pub(in crate::memory::commands) const XINFO: &[Command] = &[
    Command::new("xinfo", -2, 0, (0, 0, 0), about),
    Command::new("xinfo|stream", -3, READONLY, (2, 2, 1), about_stream),
    Command::new("xinfo|groups", 3, READONLY, (2, 2, 1), about_groups),
    Command::new("xinfo|consumers", 4, READONLY, (2, 2, 1), about_consumers),
    Command::new("xinfo|help", 2, LOADING | STALE, (0, 0, 0), about),
];

fn about(_: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(help(
        args,
        &[
            "CONSUMERS <key> <groupname>",
            "    Show consumers of <groupname>.",
            "GROUPS <key>",
            "    Show the stream consumer groups.",
            "STREAM <key> [FULL [COUNT <count>]",
            "    Show information about the stream.",
        ],
    ))
}

fn stream<'a>(cx: &'a mut Context<'_>, key: &Bytes) -> Result<&'a Stream, Halt> {
    cx.db().read::<Stream>(key)?.ok_or(Halt::NO_SUCH_KEY)
}

fn about_groups(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let stream = stream(cx, &args[2])?;
    let groups = stream.groups().iter();
    let groups = groups.map(|(name, group)| about_group(stream, name, group));
    Ok(Reply::Array(groups.collect()))
}

fn map(pairs: Vec<(&'static str, Reply)>) -> Reply {
    let pairs = pairs.into_iter();
    Reply::Map(
        pairs
            .map(|(key, value)| (Reply::text(key), value))
            .collect(),
    )
}

fn number(number: Option<i64>) -> Reply {
    number.map_or(Reply::Null, Reply::Integer)
}

fn about_stream(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let stream = stream(cx, &args[2])?;
    const DEFAULT: usize = 10;
    let most = match &args[3..] {
        [] => None,
        [full] if is(full, "FULL") => Some(DEFAULT),
        [full, word, count] if is(full, "FULL") && is(word, "COUNT") => {
            Some(usize::try_from(integer(count)?).unwrap_or(DEFAULT))
        }
        _ => return Err(Halt::subcommand_syntax("XINFO", &args[1])),
    };
    // The root of the tree, and one node for each key, unless keys have parts in common.
    let tree_nodes = stream.nodes() + 1;
    let mut pairs = vec![
        ("length", Reply::count(stream.len())),
        ("radix-tree-keys", Reply::count(stream.nodes())),
        ("radix-tree-nodes", Reply::count(tree_nodes)),
        ("last-generated-id", id_reply(stream.last_id)),
        ("max-deleted-entry-id", id_reply(stream.max_deleted)),
        ("entries-added", Reply::Integer(stream.added)),
        ("recorded-first-entry-id", id_reply(stream.first_id())),
    ];
    match most {
        None => {
            let (first, last) = (stream.first(), stream.last());
            pairs.extend([
                ("groups", Reply::count(stream.groups().len())),
                ("first-entry", first.map_or(Reply::Null, entry_reply)),
                ("last-entry", last.map_or(Reply::Null, entry_reply)),
            ]);
        }
        Some(most) => pairs.extend(full(stream, if most == 0 { usize::MAX } else { most })),
    }
    Ok(map(pairs))
}

fn full(stream: &Stream, most: usize) -> [(&'static str, Reply); 2] {
    let entries = stream.after(Default::default()).take(most);
    let groups = stream.groups().iter();
    let groups = groups.map(|(name, group)| full_group(stream, name, group, most));
    [
        ("entries", Reply::Array(entries.map(entry_reply).collect())),
        ("groups", Reply::Array(groups.collect())),
    ]
}

fn full_group(stream: &Stream, name: &Bytes, group: &Group, most: usize) -> Reply {
    let pending = group.pending().iter().take(most);
    let pending = pending.map(|(id, pending)| {
        Reply::Array(vec![
            id_reply(*id),
            Reply::Bulk(pending.consumer.clone()),
            Reply::Integer(pending.delivered_at as i64),
            Reply::Integer(pending.deliveries),
        ])
    });
    let consumers = group.consumers().iter();
    let consumers = consumers.map(|(name, consumer)| full_consumer(group, name, consumer, most));
    map(vec![
        ("name", Reply::Bulk(name.clone())),
        ("last-delivered-id", id_reply(group.last_id)),
        ("entries-read", number(group.entries_read)),
        ("lag", number(stream.lag(group))),
        ("pel-count", Reply::count(group.pending().len())),
        ("pending", Reply::Array(pending.collect())),
        ("consumers", Reply::Array(consumers.collect())),
    ])
}

fn full_consumer(group: &Group, name: &Bytes, consumer: &Consumer, most: usize) -> Reply {
    let ids = consumer.pending.iter().take(most);
    let pending = ids.filter_map(|id| Some((id, group.pending().get(id)?)));
    let pending = pending.map(|(id, pending)| {
        Reply::Array(vec![
            id_reply(*id),
            Reply::Integer(pending.delivered_at as i64),
            Reply::Integer(pending.deliveries),
        ])
    });
    let active_at = consumer.active_at.map_or(-1, |at| at as i64);
    map(vec![
        ("name", Reply::Bulk(name.clone())),
        ("seen-time", Reply::Integer(consumer.seen_at as i64)),
        ("active-time", Reply::Integer(active_at)),
        ("pel-count", Reply::count(consumer.pending.len())),
        ("pending", Reply::Array(pending.collect())),
    ])
}

fn about_group(stream: &Stream, name: &Bytes, group: &Group) -> Reply {
    map(vec![
        ("name", Reply::Bulk(name.clone())),
        ("consumers", Reply::count(group.consumers().len())),
        ("pending", Reply::count(group.pending().len())),
        ("last-delivered-id", id_reply(group.last_id)),
        ("entries-read", number(group.entries_read)),
        ("lag", number(stream.lag(group))),
    ])
}

fn about_consumers(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let now = cx.now;
    let stream = stream(cx, &args[2])?;
    let Some(group) = stream.groups().get(&args[3]) else {
        let (key, group) = (text_of(&args[2]), text_of(&args[3]));
        return Err(Halt::error(format!(
            "NOGROUP No such consumer group '{group}' for key name '{key}'"
        )));
    };
    let since = |at: Millis| now.saturating_sub(at) as i64;
    let consumers = group.consumers().iter().map(|(name, consumer)| {
        map(vec![
            ("name", Reply::Bulk(name.clone())),
            ("pending", Reply::count(consumer.pending.len())),
            ("idle", Reply::Integer(since(consumer.seen_at))),
            (
                "inactive",
                Reply::Integer(consumer.active_at.map_or(-1, since)),
            ),
        ])
    });
    Ok(Reply::Array(consumers.collect()))
}
