//! The server itself.

mod about;
mod config;
mod disabled;
mod info;

use bytes::Bytes;

use super::help::help;
use crate::memory::{
    arguments::{integer, is, milliseconds},
    command::{
        Command,
        flags::{ADMIN, FAST, LOADING, NOSCRIPT, READONLY, STALE},
    },
    context::Context,
    halt::{Halt, Outcome, Wait},
    number,
    reply::Reply,
};

pub(super) use about::COMMANDS as TABLE;
pub(super) use config::COMMANDS as CONFIG;
pub(super) use disabled::COMMANDS as DISABLED;

const QUICK: u32 = LOADING | STALE | FAST;
const LOG: u32 = ADMIN | LOADING | STALE;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("info", -1, LOADING | STALE, (0, 0, 0), info::info),
    Command::new("time", 1, QUICK, (0, 0, 0), time),
    Command::new("lastsave", 1, QUICK, (0, 0, 0), lastsave),
    Command::new("role", 1, NOSCRIPT | QUICK, (0, 0, 0), role),
    Command::new("wait", 3, NOSCRIPT, (0, 0, 0), wait),
    Command::new(
        "debug",
        -2,
        ADMIN | NOSCRIPT | LOADING | STALE,
        (0, 0, 0),
        debug,
    ),
    Command::new("memory", -2, 0, (0, 0, 0), about_memory),
    Command::new("memory|usage", -3, READONLY, (2, 2, 1), memory_usage),
    Command::new("memory|purge", 2, 0, (0, 0, 0), memory_purge),
    Command::new("memory|help", 2, LOADING | STALE, (0, 0, 0), about_memory),
    Command::new("slowlog", -2, 0, (0, 0, 0), about_slowlog),
    Command::new("slowlog|get", -2, LOG, (0, 0, 0), slowlog_get),
    Command::new("slowlog|len", 2, LOG, (0, 0, 0), slowlog_len),
    Command::new("slowlog|reset", 2, LOG, (0, 0, 0), slowlog_reset),
    Command::new("slowlog|help", 2, LOADING | STALE, (0, 0, 0), about_slowlog),
];

fn time(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    let now = cx.engine.clock.now();
    Ok(Reply::bulks([
        now.as_secs().to_string().into(),
        now.subsec_micros().to_string().into(),
    ]))
}

/// The server saves nothing; as in Redis, that counts from its start.
fn lastsave(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    Ok(Reply::Integer((cx.engine.started_at / 1000) as i64))
}

fn role(_: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    Ok(Reply::Array(vec![
        Reply::text("master"),
        Reply::Integer(0),
        Reply::Array(Vec::new()),
    ]))
}

/// There are no replicas: a wait for none ends at once, one for some lasts until its time is over.
fn wait(_: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let replicas = integer(&args[1])?;
    let timeout = milliseconds(&args[2])?;
    if replicas <= 0 {
        return Ok(Reply::Integer(0));
    }
    Err(Halt::Wait(Wait::new(
        Vec::new(),
        (timeout > 0).then_some(timeout),
        Reply::Integer(0),
    )))
}

/// DEBUG SLEEP alone: for so many seconds the server does nothing.
fn debug(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    match &args[1..] {
        [word, seconds] if is(word, "SLEEP") => {
            // As in Redis, a text that is no number is 0.
            let seconds = number::float(seconds).unwrap_or(0.0).max(0.0);
            let millis = (seconds * 1000.0) as u64;
            if millis > 0 {
                cx.engine.faults.sleep = Some(cx.now.saturating_add(millis));
                // Clients that wait look at what happens at its end.
                cx.engine.wake_all();
            }
            Ok(Reply::OK)
        }
        _ => Err(Halt::subcommand_syntax("DEBUG", &args[1])),
    }
}

/// The samples do not matter: the bytes of a value are known.
fn memory_usage(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    match &args[3..] {
        [] => {}
        [word, samples] if is(word, "SAMPLES") => {
            if integer(samples)? < 0 {
                return Err(Halt::SYNTAX);
            }
        }
        _ => return Err(Halt::SYNTAX),
    }
    let bytes = cx.db().bytes_of(&args[2]);
    Ok(bytes.map_or(Reply::Null, Reply::count))
}

/// Memory that is not used is given back at once, as far as the allocator of the process does so.
fn memory_purge(_: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    Ok(Reply::OK)
}

fn about_memory(_: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(help(
        args,
        &[
            "PURGE",
            "    Attempt to purge dirty pages for reclamation by the allocator.",
            "USAGE <key> [SAMPLES <count>]",
            "    Return memory in bytes used by <key> and its value. Nested values are",
            "    sampled up to <count> times (default: 5, 0 means sample all).",
        ],
    ))
}

/// No command is slow enough for the log.
fn slowlog_get(_: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    match &args[2..] {
        [] => {}
        [count] => {
            number::integer(count)
                .filter(|count| *count >= -1)
                .ok_or(Halt::error(
                    "ERR count should be greater than or equal to -1",
                ))?;
        }
        _ => return Err(Halt::subcommand_syntax("SLOWLOG", &args[1])),
    }
    Ok(Reply::Array(Vec::new()))
}

fn slowlog_len(_: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    Ok(Reply::Integer(0))
}

fn slowlog_reset(_: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    Ok(Reply::OK)
}

fn about_slowlog(_: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(help(
        args,
        &[
            "GET [<count>]",
            "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
            "    Entries are made of:",
            "    id, timestamp, time in microseconds, arguments array, client IP and port,",
            "    client name",
            "LEN",
            "    Return the length of the slowlog.",
            "RESET",
            "    Reset the slowlog.",
        ],
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::memory::tests::client::Client;

    #[test]
    fn a_sleeping_server_serves_nobody() {
        let client = Client::new();
        let other = Client::of(&client.store);
        assert_eq!(client.ask("DEBUG SLEEP 1.5"), "");
        assert_eq!(other.ask("PING"), "");
        let wake = |after| {
            client.store.with(|engine| {
                engine.clock.advance(Duration::from_millis(after));
                engine.tick(client.id);
            });
        };
        wake(1000);
        assert_eq!((client.read(), other.read()), ("".into(), "".into()));
        wake(600);
        assert_eq!(
            (client.read(), other.read()),
            ("+OK".into(), "+PONG".into())
        );
        assert_eq!(client.ask("DEBUG SLEEP 0"), "+OK");
    }

    #[test]
    fn a_wait_for_replicas_lasts() {
        let client = Client::new();
        assert_eq!(client.ask("WAIT 0 0"), ":0");
        assert_eq!(client.ask("WAIT 1 100"), "");
        client.store.with(|engine| {
            engine.clock.advance(Duration::from_millis(200));
            engine.tick(client.id);
        });
        assert_eq!(client.read(), ":0");
    }
}
