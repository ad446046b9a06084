//! Keys, whatever their type.

mod expiry;
mod moves;
mod object;
mod sort;

use bytes::Bytes;

use crate::memory::{
    arguments::is,
    command::{
        Command,
        flags::{DENYOOM, FAST, MOVABLE_KEYS, READONLY, WRITE},
    },
    commands::scan::{self, Options, Walk},
    context::Context,
    glob,
    halt::{Halt, Outcome},
    keyspace::Value,
    reply::Reply,
};

const SORTS: u32 = WRITE | DENYOOM | MOVABLE_KEYS;

pub(super) use object::COMMANDS as OBJECT;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("del", -2, WRITE, (1, -1, 1), del),
    Command::new("unlink", -2, WRITE | FAST, (1, -1, 1), del),
    Command::new("exists", -2, READONLY | FAST, (1, -1, 1), exists),
    Command::new("touch", -2, READONLY | FAST, (1, -1, 1), touch),
    Command::new("type", 2, READONLY | FAST, (1, 1, 1), type_of),
    Command::new("keys", 2, READONLY, (0, 0, 0), keys),
    Command::new("scan", -2, READONLY, (0, 0, 0), walk),
    Command::new("randomkey", 1, READONLY, (0, 0, 0), randomkey),
    Command::new("dbsize", 1, READONLY | FAST, (0, 0, 0), dbsize),
    Command::new("flushdb", -1, WRITE, (0, 0, 0), flushdb),
    Command::new("flushall", -1, WRITE, (0, 0, 0), flushall),
    Command::new("rename", 3, WRITE, (1, 2, 1), moves::rename),
    Command::new("renamenx", 3, WRITE | FAST, (1, 2, 1), moves::renamenx),
    Command::new("copy", -3, WRITE | DENYOOM, (1, 2, 1), moves::copy),
    Command::new("move", 3, WRITE | FAST, (1, 1, 1), moves::move_key),
    Command::new("swapdb", 3, WRITE | FAST, (0, 0, 0), moves::swapdb),
    Command::new("persist", 2, WRITE | FAST, (1, 1, 1), expiry::persist),
    Command::new("expire", -3, WRITE | FAST, (1, 1, 1), expiry::expire),
    Command::new("pexpire", -3, WRITE | FAST, (1, 1, 1), expiry::pexpire),
    Command::new("expireat", -3, WRITE | FAST, (1, 1, 1), expiry::expireat),
    Command::new("pexpireat", -3, WRITE | FAST, (1, 1, 1), expiry::pexpireat),
    Command::new("ttl", 2, READONLY | FAST, (1, 1, 1), expiry::ttl),
    Command::new("pttl", 2, READONLY | FAST, (1, 1, 1), expiry::pttl),
    Command::new(
        "expiretime",
        2,
        READONLY | FAST,
        (1, 1, 1),
        expiry::expiretime,
    ),
    Command::new(
        "pexpiretime",
        2,
        READONLY | FAST,
        (1, 1, 1),
        expiry::pexpiretime,
    ),
    Command::new("sort", -2, SORTS, (1, 1, 1), sort::sort),
    Command::new(
        "sort_ro",
        -2,
        READONLY | MOVABLE_KEYS,
        (1, 1, 1),
        sort::sort_ro,
    ),
];

fn del(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let removed = args[1..].iter().filter(|key| cx.db().remove(key).is_some());
    Ok(Reply::count(removed.count()))
}

fn exists(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let present = args[1..].iter().filter(|key| cx.db().contains(key));
    Ok(Reply::count(present.count()))
}

/// A touched key has been used; it has not changed.
fn touch(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let present = args[1..].iter().filter(|key| cx.db().value(key).is_some());
    Ok(Reply::count(present.count()))
}

fn type_of(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let name = cx.db().peek(&args[1]).map_or("none", Value::type_name);
    Ok(Reply::Status(name.into()))
}

fn keys(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let keys = cx.db().keys().filter(|key| glob::matches(&args[1], key));
    Ok(Reply::bulks(keys.cloned().collect::<Vec<_>>()))
}

fn walk(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let cursor = scan::cursor(&args[1])?;
    let options = Options::parse(&args[2..], Walk::Keys)?;
    let database = cx.db();
    let page = options.page(cursor, database.len(), false);
    let entries = page.positions().filter_map(|at| database.at(at));
    let keys = entries.filter(|(key, value)| {
        let is_of_type = |kind: &Bytes| kind.eq_ignore_ascii_case(value.type_name().as_bytes());
        options.matches(key) && options.kind.is_none_or(is_of_type)
    });
    let keys = keys.map(|(key, _)| Reply::Bulk(key.clone())).collect();
    Ok(page.reply(keys))
}

fn randomkey(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    let count = cx.db().len();
    if count == 0 {
        return Ok(Reply::Null);
    }
    let position = cx.random().usize(0..count);
    let key = cx.db().at(position).map(|(key, _)| key.clone());
    Ok(Reply::optional(key))
}

fn dbsize(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    Ok(Reply::count(cx.db().len()))
}

fn flushdb(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    check_flush(args)?;
    cx.db().clear();
    cx.engine.invalidate_all();
    Ok(Reply::OK)
}

fn flushall(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    check_flush(args)?;
    for database in cx.engine.keyspace.all() {
        database.clear();
    }
    cx.engine.invalidate_all();
    Ok(Reply::OK)
}

/// Data is removed at once in either mode.
fn check_flush(args: &[Bytes]) -> Result<(), Halt> {
    match args {
        [_] => Ok(()),
        [_, mode] if is(mode, "SYNC") || is(mode, "ASYNC") => Ok(()),
        _ => Err(Halt::SYNTAX),
    }
}

#[cfg(test)]
mod tests {
    use crate::memory::tests::client::Client;

    #[test]
    fn a_walk_misses_no_key_that_stays() {
        let client = Client::new();
        for number in 0..50 {
            client.ask(&format!("SET k{number} v"));
        }
        let (mut cursor, mut seen) = ("0".to_owned(), String::new());
        for step in 0.. {
            let reply = client.ask(&format!("SCAN {cursor} COUNT 7"));
            seen.push_str(&reply);
            seen.push(' ');
            cursor = reply.split(' ').nth(2).expect("a cursor").to_owned();
            if cursor == "0" {
                break;
            }
            client.ask(&format!("DEL k{}", step * 2 + 1));
            client.ask(&format!("SET new{step} v"));
        }
        for number in (0..50).step_by(2) {
            assert!(
                seen.contains(&format!(" k{number} ")),
                "k{number} in {seen}"
            );
        }
    }

    #[test]
    fn a_random_key_is_one_of_the_keys() {
        let client = Client::new();
        assert_eq!(client.ask("RANDOMKEY"), "$-1");
        client.ask("SET a 1");
        assert_eq!(client.ask("RANDOMKEY"), "$1 a");
    }

    #[test]
    fn an_expiry_aborts_a_transaction_that_watches_the_key() {
        let client = Client::new();
        client.ask("SET a 1");
        for change in ["EXPIRE a 100", "PERSIST a"] {
            client.ask("WATCH a");
            client.ask(change);
            client.ask("MULTI");
            assert_eq!(client.ask("EXEC"), "*-1", "{change}");
        }
    }
}
