//! ACL: users and their rights.

mod description;
mod log;

use bytes::Bytes;

use super::help::help;
use crate::memory::{
    acl::DEFAULT_USER,
    categories,
    command::{
        Command,
        flags::{ADMIN, LOADING, NOSCRIPT, STALE},
    },
    context::Context,
    halt::{Halt, Outcome, shown, text_of},
    number,
    reply::Reply,
};

const ALWAYS: u32 = LOADING | STALE;
const QUICK: u32 = NOSCRIPT | ALWAYS;
const OPERATOR: u32 = ADMIN | QUICK;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    Command::new("acl", -2, 0, (0, 0, 0), about),
    Command::new("acl|cat", -2, QUICK, (0, 0, 0), cat),
    Command::new("acl|deluser", -3, OPERATOR, (0, 0, 0), deluser),
    Command::new("acl|dryrun", -4, OPERATOR, (0, 0, 0), dryrun),
    Command::new("acl|genpass", -2, QUICK, (0, 0, 0), genpass),
    Command::new("acl|getuser", 3, OPERATOR, (0, 0, 0), description::getuser),
    Command::new("acl|list", 2, OPERATOR, (0, 0, 0), description::list),
    Command::new("acl|load", 2, OPERATOR, (0, 0, 0), no_file),
    Command::new("acl|log", -2, OPERATOR, (0, 0, 0), log::log),
    Command::new("acl|save", 2, OPERATOR, (0, 0, 0), no_file),
    Command::new("acl|setuser", -3, OPERATOR, (0, 0, 0), setuser),
    Command::new("acl|users", 2, OPERATOR, (0, 0, 0), description::users),
    Command::new("acl|whoami", 2, QUICK, (0, 0, 0), whoami),
    Command::new("acl|help", 2, ALWAYS, (0, 0, 0), about),
];

fn whoami(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    let user = cx.engine.user_of(cx.client);
    Ok(Reply::Bulk(Bytes::copy_from_slice(user)))
}

fn setuser(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let name = &args[2];
    if name
        .iter()
        .any(|byte| byte.is_ascii_whitespace() || *byte == 0)
    {
        return Err(Halt::error(
            "ERR Usernames can't contain spaces or null characters",
        ));
    }
    let rules = joined(&args[3..])?;
    let set = cx.engine.users.set(name, &rules);
    set.map_err(|(number, fault)| {
        let rule = text_of(&rules[number]);
        Halt::error(format!(
            "ERR Error in ACL SETUSER modifier '{rule}': {fault}"
        ))
    })?;
    cx.engine.end_subscriptions(name);
    Ok(Reply::OK)
}

/// Words in parentheses are one rule.
fn joined(words: &[Bytes]) -> Result<Vec<Bytes>, Halt> {
    let mut rules = Vec::new();
    let mut open: Option<(&Bytes, Vec<u8>)> = None;
    for word in words {
        let (first, rule) = match open.take() {
            Some((first, earlier)) => (first, [&earlier, &b" "[..], word].concat()),
            None if word.starts_with(b"(") => (word, word.to_vec()),
            None => {
                rules.push(word.clone());
                continue;
            }
        };
        if rule.ends_with(b")") {
            rules.push(rule.into());
        } else {
            open = Some((first, rule));
        }
    }
    match open {
        Some((first, _)) => Err(Halt::error(format!(
            "ERR Unmatched parenthesis in acl selector starting at '{}'.",
            text_of(first)
        ))),
        None => Ok(rules),
    }
}

fn deluser(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let mut removed = 0;
    for name in &args[2..] {
        if &name[..] == DEFAULT_USER {
            return Err(Halt::error("ERR The 'default' user cannot be removed"));
        }
        removed += usize::from(cx.engine.remove_user(name));
    }
    Ok(Reply::count(removed))
}

/// Categories, or the commands of one.
fn cat(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let category = match &args[2..] {
        [] => {
            let all = categories::ORDER.into_iter().map(Reply::text);
            return Ok(Reply::Array(all.collect()));
        }
        [category] => String::from_utf8_lossy(category).to_ascii_lowercase(),
        _ => return Err(Halt::subcommand_syntax("ACL", &args[1])),
    };
    if !categories::ORDER.contains(&category.as_str()) {
        let name = shown(&args[2]);
        return Err(Halt::error(format!("ERR Unknown category '{name}'")));
    }
    let commands = cx.engine.table.all().iter();
    let names = commands
        .filter(|command| !command.is_container || command.name == "command")
        .filter(|command| categories::of(command).contains(&category.as_str()))
        .map(|command| Reply::text(command.name));
    Ok(Reply::Array(names.collect()))
}

/// Whether a user may run a command, which is not run.
fn dryrun(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (name, request) = (&args[2], args[3..].to_vec());
    let Some(user) = cx.engine.users.get(name) else {
        let name = text_of(name);
        return Err(Halt::error(format!("ERR User '{name}' not found")));
    };
    let command = cx.engine.table.of(&request);
    let command = command.filter(|command| !command.is_container || request.len() == 1);
    let Some(command) = command else {
        let command = text_of(&request[0]);
        return Err(Halt::error(format!("ERR Command '{command}' not found")));
    };
    if !command.takes(request.len()) {
        return Err(Halt::wrong_arity(command.name));
    }
    Ok(match user.denial(command, &request) {
        Some(denial) => Reply::bulk(denial.details(name)),
        None => Reply::OK,
    })
}

fn genpass(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    const MOST: i64 = 4096;
    let bits = match &args[2..] {
        [] => 256,
        [bits] => number::integer(bits).ok_or(Halt::NOT_INTEGER)?,
        _ => return Err(Halt::subcommand_syntax("ACL", &args[1])),
    };
    if !(1..=MOST).contains(&bits) {
        return Err(Halt::error(format!(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to \
             {MOST}"
        )));
    }
    let digits = (bits as u64).div_ceil(4);
    let password: String = (0..digits).map(|_| cx.random().digit(16)).collect();
    Ok(Reply::bulk(password))
}

fn no_file(_: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    Err(Halt::error(
        "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL \
         SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order \
         to store users in the Redis configuration.",
    ))
}

fn about(_: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(help(
        args,
        &[
            "CAT [<category>]",
            "    List all commands that belong to <category>, or all command categories",
            "    when no category is specified.",
            "DELUSER <username> [<username> ...]",
            "    Delete a list of users.",
            "DRYRUN <username> <command> [<arg> ...]",
            "    Returns whether the user can execute the given command without executing the command.",
            "GETUSER <username>",
            "    Get the user's details.",
            "GENPASS [<bits>]",
            "    Generate a secure 256-bit user password. The optional `bits` argument can",
            "    be used to specify a different size.",
            "LIST",
            "    Show users details in config file format.",
            "LOAD",
            "    Reload users from the ACL file.",
            "LOG [<count> | RESET]",
            "    Show the ACL log entries.",
            "SAVE",
            "    Save the current config to the ACL file.",
            "SETUSER <username> <attribute> [<attribute> ...]",
            "    Create or modify a user with the specified attributes.",
            "USERS",
            "    List all the registered usernames.",
            "WHOAMI",
            "    Return the current connection username.",
        ],
    ))
}

#[cfg(test)]
mod tests;
