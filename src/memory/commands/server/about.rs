//! COMMAND: the table of commands.

use bytes::Bytes;

use super::super::help::help;
use crate::memory::{
    arguments::is,
    categories,
    command::{
        Command,
        flags::{self, LOADING, MOVABLE_KEYS, READONLY, STALE, WRITE},
    },
    context::Context,
    glob,
    halt::{Halt, Outcome},
    keys,
    reply::Reply,
    signature::{Signature, Table},
};

const ALWAYS: u32 = LOADING | STALE;

pub(in crate::memory::commands) const COMMANDS: &[Command] = &[
    Command::new("command", -1, ALWAYS, (0, 0, 0), all),
    Command::new("command|count", 2, ALWAYS, (0, 0, 0), count),
    Command::new("command|list", -2, ALWAYS, (0, 0, 0), list),
    Command::new("command|info", -2, ALWAYS, (0, 0, 0), info),
    Command::new("command|getkeys", -4, ALWAYS, (0, 0, 0), getkeys),
    Command::new("command|help", 2, ALWAYS, (0, 0, 0), about),
];

/// The commands that are no subcommands.
fn commands(table: &Table) -> impl Iterator<Item = &Signature> {
    let all = table.all().iter();
    all.filter(|command| command.container().is_none())
}

fn all(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    let table = cx.engine.table;
    let descriptions = commands(table).map(|command| description(table, command));
    Ok(Reply::Array(descriptions.collect()))
}

fn count(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    Ok(Reply::count(commands(cx.engine.table).count()))
}

fn info(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    if args.len() == 2 {
        return all(cx, args);
    }
    let table = cx.engine.table;
    let descriptions = args[2..].iter().map(|name| {
        let command = table.named(name);
        command.map_or(Reply::Null, |command| description(table, command))
    });
    Ok(Reply::Array(descriptions.collect()))
}

fn list(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let is_wanted: Box<dyn Fn(&Signature) -> bool> = match &args[2..] {
        [] => Box::new(|_| true),
        [by, what, wanted] if is(by, "FILTERBY") && is(what, "PATTERN") => {
            let pattern = wanted.to_ascii_lowercase();
            Box::new(move |command| glob::matches(&pattern, command.name.as_bytes()))
        }
        [by, what, wanted] if is(by, "FILTERBY") && is(what, "ACLCAT") => {
            let wanted = String::from_utf8_lossy(wanted).to_ascii_lowercase();
            Box::new(move |command| categories::of(command).contains(&wanted.as_str()))
        }
        // There are no modules.
        [by, what, _] if is(by, "FILTERBY") && is(what, "MODULE") => Box::new(|_| false),
        _ => return Err(Halt::SYNTAX),
    };
    let names = cx
        .engine
        .table
        .all()
        .iter()
        .filter(|command| is_wanted(command))
        .map(|command| Reply::text(command.name));
    Ok(Reply::Array(names.collect()))
}

fn getkeys(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let request = &args[2..].to_vec();
    let command = cx
        .engine
        .table
        .of(request)
        .filter(|command| !command.is_container || request.len() == 1)
        .ok_or(Halt::error("ERR Invalid command specified"))?;
    if !keys::has(command) {
        return Err(Halt::error("ERR The command has no key arguments"));
    }
    if !command.takes(request.len()) {
        return Err(Halt::error(
            "ERR Invalid number of arguments specified for command",
        ));
    }
    let keys = keys::of(command, request)
        .ok_or(Halt::error("ERR Invalid arguments specified for command"))?;
    Ok(Reply::bulks(keys.into_iter().cloned()))
}

/// The description of a command.
fn description(table: &Table, command: &Signature) -> Reply {
    let (first, last, step) = command.keys;
    let status = |text: &'static str| Reply::Status(text.into());
    let flags = flags::NAMES
        .iter()
        .filter(|(flag, _)| command.has(*flag))
        .map(|(_, name)| status(name));
    let categories = categories::of(command)
        .into_iter()
        .map(|category| Reply::Status(format!("@{category}").into()));
    let subcommands = table
        .subcommands(command.name)
        .map(|command| description(table, command));
    Reply::Array(vec![
        Reply::text(command.name),
        Reply::Integer(command.arity.into()),
        Reply::Set(flags.collect()),
        Reply::Integer(first.into()),
        Reply::Integer(last.into()),
        Reply::Integer(step.into()),
        Reply::Set(categories.collect()),
        Reply::Array(categories::tips(command).map(Reply::text).collect()),
        Reply::Array(specification(command).into_iter().collect()),
        Reply::Array(subcommands.collect()),
    ])
}

/// The specification of the keys that are at fixed positions. Only whether they are written is known of how
/// they are used.
fn specification(command: &Signature) -> Option<Reply> {
    let (first, last, step) = command.keys;
    if first == 0 {
        return None;
    }
    let access = if command.has(WRITE) {
        "RW"
    } else if command.has(READONLY) || command.name == "watch" {
        "RO"
    } else {
        "not_key"
    };
    let mut flags = vec![Reply::Status(access.into())];
    if command.has(MOVABLE_KEYS) {
        flags.push(Reply::Status("incomplete".into()));
    }
    // The last key is stated in relation to the first one, unless it is counted from the end.
    let last = if last < 0 { last } else { last - first };
    let number =
        |name: &'static str, number: i32| (Reply::text(name), Reply::Integer(number.into()));
    Some(Reply::Map(vec![
        (Reply::text("flags"), Reply::Set(flags)),
        (
            Reply::text("begin_search"),
            part("index", vec![number("index", first)]),
        ),
        (
            Reply::text("find_keys"),
            part(
                "range",
                vec![
                    number("lastkey", last),
                    number("keystep", step),
                    number("limit", 0),
                ],
            ),
        ),
    ]))
}

fn part(kind: &'static str, details: Vec<(Reply, Reply)>) -> Reply {
    Reply::Map(vec![
        (Reply::text("type"), Reply::text(kind)),
        (Reply::text("spec"), Reply::Map(details)),
    ])
}

fn about(_: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(help(
        args,
        &[
            "(no subcommand)",
            "    Return details about all Redis commands.",
            "COUNT",
            "    Return the total number of commands in this Redis server.",
            "LIST",
            "    Return a list of all commands in this Redis server.",
            "INFO [<command-name> ...]",
            "    Return details about multiple Redis commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "GETKEYS <full-command>",
            "    Return the keys from a full Redis command.",
        ],
    ))
}

#[cfg(test)]
mod tests {
    use crate::memory::tests::client::Client;

    #[test]
    fn lists_show_subcommands() {
        let client = Client::new();
        for command in [
            "COMMAND LIST",
            "COMMAND LIST FILTERBY PATTERN client*",
            "COMMAND LIST FILTERBY ACLCAT connection",
        ] {
            let names = client.ask(command);
            assert!(names.contains("client|id"), "{command}: {names}");
        }
        assert!(
            !client
                .ask("COMMAND LIST FILTERBY PATTERN client")
                .contains('|')
        );
    }
}
