//! Commands about the connection itself: logins, protocols, databases.

use bytes::Bytes;

use crate::memory::{
    acl::DEFAULT_USER,
    arguments::{Words, integer, is},
    command::{
        Command,
        flags::{ALLOW_BUSY, FAST, LOADING, NO_AUTH, NOSCRIPT, STALE},
    },
    context::Context,
    halt::{Halt, Outcome, shown},
    keyspace::DATABASES,
    number,
    reply::{Protocol, Reply},
    session::{Exemptions, Replies},
};

/// The version of Redis whose commands the server has.
pub(super) const VERSION: &str = "7.4.0";

const ALWAYS: u32 = NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY;
const QUICK: u32 = LOADING | STALE | FAST;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("hello", -1, ALWAYS, (0, 0, 0), hello),
    Command::new("auth", -2, ALWAYS, (0, 0, 0), auth),
    Command::new("ping", -1, FAST, (0, 0, 0), ping),
    Command::new("echo", 2, QUICK, (0, 0, 0), echo),
    Command::new("select", 2, QUICK, (0, 0, 0), select),
    Command::new("quit", -1, ALWAYS, (0, 0, 0), quit),
    Command::new("reset", 1, ALWAYS, (0, 0, 0), reset),
];

fn hello(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let protocol = match args.get(1) {
        None => cx.session().protocol,
        Some(version) => protocol(version)?,
    };
    let (mut login, mut name) = (None, None);
    let mut words = Words::new(args.get(2..).unwrap_or_default());
    while let Some(word) = words.next() {
        match words.rest() {
            [user, password, ..] if is(word, "AUTH") => {
                login = Some((user, password));
                words.next();
                words.next();
            }
            [wanted, ..] if is(word, "SETNAME") => {
                check_name(wanted, "Client names")?;
                name = words.next();
            }
            _ => {
                let word = shown(word);
                return Err(Halt::error(format!(
                    "ERR Syntax error in HELLO option '{word}'"
                )));
            }
        }
    }
    if let Some((user, password)) = login {
        log_in(cx, &args[0], user, password)?;
    }
    let session = cx.session();
    if session.user.is_none() {
        return Err(Halt::error(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> \
             AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol \
             version at the same time",
        ));
    }
    if let Some(name) = name {
        session.name = name.clone();
    }
    session.protocol = protocol;
    let id = session.id;
    let mode = cx.engine.mode();
    Ok(Reply::Map(vec![
        (Reply::text("server"), Reply::text("redis")),
        (Reply::text("version"), Reply::text(VERSION)),
        (
            Reply::text("proto"),
            Reply::Integer(match protocol {
                Protocol::Resp2 => 2,
                Protocol::Resp3 => 3,
            }),
        ),
        (Reply::text("id"), Reply::Integer(id as i64)),
        (Reply::text("mode"), Reply::text(mode)),
        (Reply::text("role"), Reply::text("master")),
        (Reply::text("modules"), Reply::Array(Vec::new())),
    ]))
}

fn protocol(version: &[u8]) -> Result<Protocol, Halt> {
    let version = number::integer(version).ok_or(Halt::error(
        "ERR Protocol version is not an integer or out of range",
    ))?;
    match version {
        2 => Ok(Protocol::Resp2),
        3 => Ok(Protocol::Resp3),
        _ => Err(Halt::error("NOPROTO unsupported protocol version")),
    }
}

/// A name as CLIENT LIST can show it.
pub(super) fn check_name(name: &[u8], subject: &str) -> Result<(), Halt> {
    if name.iter().all(u8::is_ascii_graphic) {
        return Ok(());
    }
    Err(Halt::error(format!(
        "ERR {subject} cannot contain spaces, newlines or special characters."
    )))
}

fn auth(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    match &args[1..] {
        [password] => {
            if cx.engine.users.takes_any_password() {
                return Err(Halt::error(
                    "ERR AUTH <password> called without any password configured for the default user. Are you \
                     sure your configuration is correct?",
                ));
            }
            log_in(cx, &args[0], &Bytes::from_static(DEFAULT_USER), password)?;
        }
        [user, password] => log_in(cx, &args[0], user, password)?,
        _ => return Err(Halt::SYNTAX),
    }
    Ok(Reply::OK)
}

fn log_in(
    cx: &mut Context<'_>,
    command: &Bytes,
    user: &Bytes,
    password: &[u8],
) -> Result<(), Halt> {
    if !cx.engine.users.accepts(user, password) {
        let id = cx.client;
        cx.engine.note_login(id, command, user);
        return Err(Halt::error(
            "WRONGPASS invalid username-password pair or user is disabled.",
        ));
    }
    cx.session().user = Some(user.clone());
    Ok(())
}

fn ping(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    if args.len() > 2 {
        return Err(Halt::wrong_arity("ping"));
    }
    if cx.session().is_subscriber() {
        let text = args.get(1).cloned().unwrap_or_default();
        return Ok(Reply::Array(vec![Reply::text("pong"), Reply::Bulk(text)]));
    }
    Ok(match args.get(1) {
        Some(text) => Reply::Bulk(text.clone()),
        None => Reply::Status("PONG".into()),
    })
}

fn echo(_: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(Reply::Bulk(args[1].clone()))
}

fn select(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let number = i32::try_from(integer(&args[1])?).map_err(|_| {
        Halt::error("ERR value is out of range, value must between -2147483648 and 2147483647")
    })?;
    if number != 0 {
        cx.engine
            .refuse_in_cluster("ERR SELECT is not allowed in cluster mode")?;
    }
    let number = usize::try_from(number).ok();
    let number = number.filter(|number| *number < DATABASES);
    cx.session().database = number.ok_or(Halt::error("ERR DB index is out of range"))?;
    Ok(Reply::OK)
}

fn quit(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    cx.session().is_closing = true;
    Ok(Reply::OK)
}

/// Makes a connection as new.
fn reset(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    let id = cx.client;
    cx.engine.unwatch(id);
    cx.engine.untrack(id);
    let user = cx.engine.users.without_login();
    let session = cx.session();
    session.transaction = None;
    session.database = 0;
    session.protocol = Protocol::default();
    session.user = user;
    session.name = Bytes::new();
    session.replies = Replies::default();
    session.exemptions = Exemptions::default();
    let subscriptions = std::mem::take(&mut session.subscriptions);
    cx.engine.channels.leave(id, &subscriptions);
    Ok(Reply::Status("RESET".into()))
}
