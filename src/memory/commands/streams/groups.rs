//! Groups of consumers, and acknowledgements.

use bytes::Bytes;

use super::{super::help::help, ids};
use crate::memory::{
    arguments::{Words, integer, is},
    command::{
        Command,
        flags::{DENYOOM, LOADING, STALE, WRITE},
    },
    context::Context,
    halt::{Halt, Outcome, text_of},
    keyspace::{Edit, Group, Id, Stream},
    reply::Reply,
};

const CREATES: u32 = WRITE | DENYOOM;

pub(in crate::memory::commands) const XGROUP: &[Command] = &[
    Command::new("xgroup", -2, 0, (0, 0, 0), about),
    Command::new("xgroup|create", -5, CREATES, (2, 2, 1), create),
    Command::new("xgroup|setid", -5, WRITE, (2, 2, 1), set_id),
    Command::new("xgroup|destroy", 4, WRITE, (2, 2, 1), destroy),
    Command::new(
        "xgroup|createconsumer",
        5,
        CREATES,
        (2, 2, 1),
        create_consumer,
    ),
    Command::new("xgroup|delconsumer", 5, WRITE, (2, 2, 1), delete_consumer),
    Command::new("xgroup|help", 2, LOADING | STALE, (0, 0, 0), about),
];

fn about(_: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(help(
        args,
        &[
            "CREATE <key> <groupname> <id|$> [option]",
            "    Create a new consumer group. Options are:",
            "    * MKSTREAM",
            "      Create the empty stream if it does not exist.",
            "    * ENTRIESREAD entries_read",
            "      Set the group's entries_read counter (internal use).",
            "CREATECONSUMER <key> <groupname> <consumer>",
            "    Create a new consumer in the specified group.",
            "DELCONSUMER <key> <groupname> <consumer>",
            "    Remove the specified consumer.",
            "DESTROY <key> <groupname>",
            "    Remove the specified group.",
            "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
            "    Set the current group ID and entries_read counter.",
        ],
    ))
}

/// Options of CREATE and SETID.
#[derive(Default)]
struct Options {
    creates_stream: bool,
    entries_read: Option<i64>,
}

/// The options of CREATE, which alone takes MKSTREAM, or of SETID.
fn options(args: &[Bytes], is_create: bool) -> Result<Options, Halt> {
    let mut options = Options::default();
    let mut words = Words::new(args.get(5..).unwrap_or_default());
    while let Some(word) = words.next() {
        if is_create && is(word, "MKSTREAM") {
            options.creates_stream = true;
        } else if is(word, "ENTRIESREAD") && !words.is_empty() {
            let number = integer(words.expect()?)?;
            if number < -1 {
                return Err(Halt::error(
                    "ERR value for ENTRIESREAD must be positive or -1",
                ));
            }
            options.entries_read = (number != -1).then_some(number);
        } else {
            return Err(Halt::subcommand_syntax("XGROUP", &args[1]));
        }
    }
    Ok(options)
}

/// An option that is there twice is an error after all others.
fn check_count(args: &[Bytes], most: usize) -> Result<(), Halt> {
    if args.len() > most {
        return Err(Halt::subcommand_syntax("XGROUP", &args[1]));
    }
    Ok(())
}

/// The stream of a key that has to exist.
fn stream<'a>(cx: &'a mut Context<'_>, key: &Bytes) -> Result<Edit<'a, Stream>, Halt> {
    cx.db().edit_existing::<Stream>(key)?.ok_or(Halt::error(
        "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
         MKSTREAM option to create an empty stream automatically.",
    ))
}

/// The stream of a key, with a group that has to exist.
fn stream_with_group<'a>(
    cx: &'a mut Context<'_>,
    key: &Bytes,
    group: &Bytes,
) -> Result<Edit<'a, Stream>, Halt> {
    let stream = stream(cx, key)?;
    if !stream.groups().contains_key(group) {
        let (key, group) = (text_of(key), text_of(group));
        return Err(Halt::error(format!(
            "NOGROUP No such consumer group '{group}' for key name '{key}'"
        )));
    }
    Ok(stream)
}

fn create(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let options = options(args, true)?;
    let key = &args[2];
    let last_id = cx.db().read::<Stream>(key)?.map(|stream| stream.last_id);
    if !options.creates_stream {
        stream(cx, key)?;
    }
    check_count(args, 8)?;
    let id = match &args[4][..] {
        b"$" => last_id.unwrap_or(Id::MIN),
        id => ids::strict(id)?,
    };
    let mut stream = cx.db().edit::<Stream>(key)?;
    if last_id.is_none() {
        stream.touch();
    }
    if stream.create_group(&args[3], Group::new(id, options.entries_read)) {
        Ok(Reply::OK)
    } else {
        Err(Halt::error("BUSYGROUP Consumer Group name already exists"))
    }
}

fn set_id(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let options = options(args, false)?;
    let mut stream = stream_with_group(cx, &args[2], &args[3])?;
    check_count(args, 7)?;
    let id = match &args[4][..] {
        b"$" => stream.last_id,
        id => ids::any(id, 0)?,
    };
    if let Some(mut group) = stream.group_mut(&args[3]) {
        (group.last_id, group.entries_read) = (id, options.entries_read);
    }
    Ok(Reply::OK)
}

fn destroy(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let mut stream = stream(cx, &args[2])?;
    let was_there = stream.destroy_group(&args[3]);
    if was_there {
        // Clients that wait for the group learn that it is gone.
        stream.wake();
    }
    Ok(Reply::flag(was_there))
}

fn create_consumer(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let now = cx.now;
    let mut stream = stream_with_group(cx, &args[2], &args[3])?;
    let group = stream.group_mut(&args[3]);
    let is_new = group.is_some_and(|mut group| group.create_consumer(&args[4], now));
    Ok(Reply::flag(is_new))
}

fn delete_consumer(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let mut stream = stream_with_group(cx, &args[2], &args[3])?;
    let group = stream.group_mut(&args[3]);
    let pending = group.map_or(0, |mut group| group.remove_consumer(&args[4]));
    Ok(Reply::count(pending))
}

pub(super) fn xack(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let stream = cx.db().edit_existing::<Stream>(&args[1])?;
    let Some(mut stream) = stream else {
        return Ok(Reply::count(0));
    };
    let Some(mut group) = stream.group_mut(&args[2]) else {
        return Ok(Reply::count(0));
    };
    let ids: Vec<Id> = args[3..]
        .iter()
        .map(|id| ids::strict(id))
        .collect::<Result<_, _>>()?;
    let acknowledged = ids.into_iter().filter(|id| group.acknowledge(*id));
    Ok(Reply::count(acknowledged.count()))
}
