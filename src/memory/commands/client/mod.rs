//! CLIENT.

mod kill;
mod list;
mod tracking;

use bytes::Bytes;

use super::{connection::check_name, help::help};
use crate::memory::{
    arguments::{integer, is, milliseconds},
    command::{
        Command,
        flags::{ADMIN, LOADING, NOSCRIPT, STALE},
    },
    context::Context,
    halt::{Halt, Outcome, shown},
    reply::Reply,
    session::Replies,
};

const USER: u32 = NOSCRIPT | LOADING | STALE;
const OPERATOR: u32 = ADMIN | USER;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("client", -2, 0, (0, 0, 0), about),
    Command::new("client|id", 2, USER, (0, 0, 0), id),
    Command::new("client|getname", 2, USER, (0, 0, 0), getname),
    Command::new("client|setname", 3, USER, (0, 0, 0), setname),
    Command::new("client|setinfo", 4, USER, (0, 0, 0), setinfo),
    Command::new("client|info", 2, USER, (0, 0, 0), list::info),
    Command::new("client|list", -2, OPERATOR, (0, 0, 0), list::list),
    Command::new("client|kill", -3, OPERATOR, (0, 0, 0), kill::kill),
    Command::new("client|unblock", -3, OPERATOR, (0, 0, 0), unblock),
    Command::new("client|pause", -3, OPERATOR, (0, 0, 0), pause),
    Command::new("client|unpause", 2, OPERATOR, (0, 0, 0), unpause),
    Command::new("client|no-evict", 3, OPERATOR, (0, 0, 0), no_evict),
    Command::new("client|no-touch", 3, USER, (0, 0, 0), no_touch),
    Command::new("client|reply", 3, USER, (0, 0, 0), reply),
    Command::new("client|caching", 3, USER, (0, 0, 0), tracking::caching),
    Command::new("client|getredir", 2, USER, (0, 0, 0), tracking::getredir),
    Command::new("client|tracking", -3, USER, (0, 0, 0), tracking::tracking),
    Command::new(
        "client|trackinginfo",
        2,
        USER,
        (0, 0, 0),
        tracking::trackinginfo,
    ),
    Command::new("client|help", 2, LOADING | STALE, (0, 0, 0), about),
];

fn id(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    Ok(Reply::Integer(cx.client as i64))
}

fn getname(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    let name = cx.session().name.clone();
    Ok(Reply::optional((!name.is_empty()).then_some(name)))
}

fn setname(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    check_name(&args[2], "Client names")?;
    cx.session().name = args[2].clone();
    Ok(Reply::OK)
}

fn setinfo(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (option, value) = (&args[2], &args[3]);
    let (name, version) = &mut cx.session().library;
    let (place, subject) = if is(option, "LIB-NAME") {
        (name, "lib-name")
    } else if is(option, "LIB-VER") {
        (version, "lib-ver")
    } else {
        let option = shown(option);
        return Err(Halt::error(format!("ERR Unrecognized option '{option}'")));
    };
    check_name(value, subject)?;
    *place = value.clone();
    Ok(Reply::OK)
}

fn unblock(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let reply = match &args[3..] {
        [reason] if is(reason, "ERROR") => Some(Reply::error(
            "UNBLOCKED client unblocked via CLIENT UNBLOCK",
        )),
        [reason] if !is(reason, "TIMEOUT") => {
            return Err(Halt::error(
                "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR",
            ));
        }
        _ => None,
    };
    let id = u64::try_from(integer(&args[2])?).unwrap_or(0);
    Ok(Reply::flag(cx.engine.end_wait(id, reply)))
}

/// A pause that is under way becomes longer or stricter, never shorter or milder.
fn pause(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let only_writes = match &args[3..] {
        [mode] if is(mode, "WRITE") => true,
        [mode] if !is(mode, "ALL") => {
            return Err(Halt::error("ERR CLIENT PAUSE mode must be WRITE or ALL"));
        }
        _ => false,
    };
    let end = cx.now.checked_add(milliseconds(&args[2])?);
    let end = end.filter(|end| i64::try_from(*end).is_ok());
    let end = end.ok_or(Halt::error("ERR timeout is out of range"))?;
    let pause = &mut cx.engine.faults.pause;
    *pause = Some(match *pause {
        Some((other, only)) => (end.max(other), only_writes && only),
        None => (end, only_writes),
    });
    Ok(Reply::OK)
}

fn unpause(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    cx.engine.end_pause();
    Ok(Reply::OK)
}

fn no_evict(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    cx.session().exemptions.from_eviction = on_or_off(&args[2])?;
    Ok(Reply::OK)
}

fn no_touch(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    cx.session().exemptions.from_touching = on_or_off(&args[2])?;
    Ok(Reply::OK)
}

fn on_or_off(word: &[u8]) -> Result<bool, Halt> {
    if is(word, "ON") {
        Ok(true)
    } else if is(word, "OFF") {
        Ok(false)
    } else {
        Err(Halt::SYNTAX)
    }
}

fn reply(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let replies = &mut cx.session().replies;
    if is(&args[2], "ON") {
        *replies = Replies::On;
        return Ok(Reply::OK);
    }
    if is(&args[2], "OFF") {
        *replies = Replies::Off;
    } else if is(&args[2], "SKIP") {
        if *replies != Replies::Off {
            *replies = Replies::SkipNext;
        }
    } else {
        return Err(Halt::SYNTAX);
    }
    Ok(Reply::Several(Vec::new()))
}

fn about(_: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(help(args, HELP))
}

const HELP: &[&str] = &[
    "CACHING (YES|NO)",
    "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
    "GETREDIR",
    "    Return the client ID we are redirecting to when tracking is enabled.",
    "GETNAME",
    "    Return the name of the current connection.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port>",
    "    Kill connection made from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Kill connections. Options are:",
    "    * ADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made from the specified address",
    "    * LADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made to specified local address",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Kill connections by type.",
    "    * USER <username>",
    "      Kill connections authenticated by <username>.",
    "    * SKIPME (YES|NO)",
    "      Skip killing current connection (default: yes).",
    "    * ID <client-id>",
    "      Kill connections by client id.",
    "    * MAXAGE <maxage>",
    "      Kill connections older than the specified age.",
    "LIST [options ...]",
    "    Return information about client connections. Options:",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Return clients of specified type.",
    "UNPAUSE",
    "    Stop the current client pause, resuming traffic.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Suspend all, or just write, clients for <timeout> milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "SETINFO <option> <value>",
    "    Set client meta attr. Options are:",
    "    * LIB-NAME: the client lib name.",
    "    * LIB-VER: the client lib version.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    Unblock the specified blocked client.",
    "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
    "         [OPTIN] [OPTOUT] [NOLOOP]",
    "    Control server assisted client side caching.",
    "TRACKINGINFO",
    "    Report tracking status for the current connection.",
    "NO-EVICT (ON|OFF)",
    "    Protect current client connection from eviction.",
    "NO-TOUCH (ON|OFF)",
    "    Will not touch LRU/LFU stats when this mode is on.",
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::memory::tests::client::Client;

    #[test]
    fn libraries_have_names() {
        let client = Client::new();
        assert_eq!(client.ask("CLIENT SETINFO LIB-NAME steward"), "+OK");
        assert_eq!(client.ask("client setinfo lib-ver 1.0"), "+OK");
        assert!(
            client
                .ask("CLIENT INFO")
                .contains(" lib-name=steward lib-ver=1.0")
        );
        assert_eq!(
            client.ask("CLIENT SETINFO x y"),
            "-ERR Unrecognized option 'x'"
        );
        assert_eq!(
            client.ask("CLIENT SETINFO LIB-NAME \u{e4}"),
            "-ERR lib-name cannot contain spaces, newlines or special characters."
        );
    }

    #[tokio::test(start_paused = true)]
    async fn uses_count_unless_a_client_is_not_to_touch() {
        let client = Client::new();
        let idle = |expected: &str| {
            let by = Duration::from_secs(10);
            client.store.with(|engine| engine.clock.advance(by));
            assert_eq!(client.ask("OBJECT IDLETIME a"), expected);
        };
        client.ask("SET a 1");
        client.ask("CLIENT NO-TOUCH ON");
        idle(":10");
        client.ask("GET a");
        client.ask("MULTI");
        client.ask("GET a");
        client.ask("EXEC");
        idle(":20");
        client.ask("TOUCH a");
        idle(":10");
        client.ask("CLIENT NO-TOUCH OFF");
        client.ask("GET a");
        idle(":10");
    }

    #[test]
    fn replies_are_left_out() {
        let client = Client::new();
        assert_eq!(client.ask("CLIENT REPLY SKIP"), "");
        assert_eq!(client.ask("PING"), "");
        assert_eq!(client.ask("PING"), "+PONG");
        assert_eq!(client.ask("CLIENT REPLY OFF"), "");
        assert_eq!(client.ask("PING"), "");
        assert_eq!(client.ask("CLIENT REPLY SKIP"), "");
        assert_eq!(client.ask("SUBSCRIBE a"), "*3 $9 subscribe $1 a :1");
        client.ask("UNSUBSCRIBE");
        assert_eq!(client.ask("PING"), "");
        assert_eq!(client.ask("CLIENT REPLY ON"), "+OK");
    }

    #[test]
    fn a_pause_holds_commands() {
        let client = Client::new();
        let other = Client::of(&client.store);
        client.ask("CLIENT PAUSE 1000 WRITE");
        assert_eq!(other.ask("GET a"), "$-1");
        assert_eq!(
            other.ask("NONSENSE"),
            "-ERR unknown command 'NONSENSE', with args beginning with: "
        );
        assert_eq!(other.ask("SET a 1"), "");
        assert_eq!(other.ask("GET a"), "");
        assert_eq!(client.ask("CLIENT UNPAUSE"), "+OK");
        assert_eq!(other.read(), "+OK $1 1");
        client.ask("CLIENT PAUSE 1000");
        assert_eq!(other.ask("GET a"), "");
        let later = Duration::from_secs(2);
        client.store.with(|engine| {
            engine.clock.advance(later);
            engine.tick(client.id);
        });
        assert_eq!(other.read(), "$1 1");
        assert_eq!(
            client.ask("CLIENT PAUSE 9223372036854775807"),
            "-ERR timeout is out of range"
        );
    }
}
