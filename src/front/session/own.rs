//! The commands about its session that the front answers itself.

use bytes::Bytes;

use super::{Session, watch::Watch};
use crate::{
    front::{name::Name, service::DEFAULT_USER},
    wire::{
        number,
        reply::{Protocol, Reply},
        request::Request,
    },
};

/// The version of Redis whose commands this crate knows, in case the server has not told its own.
const VERSION: &str = "7.0.0";
const NO_MONITOR: &str = "REFUSED MONITOR is refused: it shows the commands of all clients of the server, those of \
                          other programs included, and never ends; run it at the server itself; the command was \
                          not sent";
const OUT_OF_RANGE: &str = "ERR DB index is out of range";
const SYNTAX: &str = "ERR syntax error";
const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";

/// A reply, or the text of an error.
pub(super) type Outcome = Result<Reply, String>;

impl Session {
    /// Answers one of these commands at once.
    pub(super) fn own(&mut self, name: Name, request: &Request) -> Reply {
        let words = &request[1..];
        let outcome = match name {
            Name::Hello => self.hello(words),
            Name::Auth => self.auth(words),
            Name::Select => self.select(words),
            Name::Client => self.client(words),
            Name::Ping => ping(words),
            Name::Echo => echo(words),
            Name::Quit => {
                self.subscription = None;
                self.is_closing = true;
                Ok(Reply::OK)
            }
            Name::Reset => Ok(self.reset()),
            Name::Monitor => Err(NO_MONITOR.into()),
            Name::Multi
            | Name::Exec
            | Name::Discard
            | Name::Watch
            | Name::Unwatch
            | Name::Subscribe
            | Name::Unsubscribe
            | Name::Http => unreachable!("BUG: {name:?} is no command of the session alone"),
        };
        outcome.unwrap_or_else(Reply::error)
    }

    fn hello(&mut self, words: &[Bytes]) -> Outcome {
        let protocol = match words.first().map(|version| number::integer(version)) {
            None => self.protocol,
            Some(Some(2)) => Protocol::Resp2,
            Some(Some(3)) => Protocol::Resp3,
            Some(Some(_)) => return Err("NOPROTO unsupported protocol version".into()),
            Some(None) => {
                return Err("ERR Protocol version is not an integer or out of range".into());
            }
        };
        let (mut login, mut name) = (None, None);
        let mut rest = words.get(1..).unwrap_or_default();
        loop {
            rest = match rest {
                [] => break,
                [word, user, password, rest @ ..] if is(word, "AUTH") => {
                    login = Some((user, password));
                    rest
                }
                [word, wanted, rest @ ..] if is(word, "SETNAME") => {
                    check_name(wanted, "Client names")?;
                    name = Some(wanted.clone());
                    rest
                }
                [word, ..] => {
                    return Err(format!(
                        "ERR Syntax error in HELLO option '{}'",
                        word.escape_ascii()
                    ));
                }
            };
        }
        if let Some((user, password)) = login {
            self.log_in(user, password)?;
        }
        if !self.is_logged_in() {
            return Err("NOAUTH HELLO must be called with the client already authenticated, otherwise the \
                        HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
                        select the RESP protocol version at the same time"
                .into());
        }
        if let Some(name) = name {
            self.name = name;
        }
        self.protocol = protocol;
        Ok(self.greeting())
    }

    /// Names the server of the database: clients ask for its version to learn which commands there are.
    fn greeting(&self) -> Reply {
        let program = self.database.engine.state.program.load();
        let (name, version) = match &*program {
            Some(program) => (&*program.name, &*program.version),
            None => ("redis", VERSION),
        };
        let text = |text: &str| Reply::bulk(text.to_owned());
        Reply::Map(vec![
            (Reply::text("server"), text(name)),
            (Reply::text("version"), text(version)),
            (Reply::text("proto"), Reply::Integer(self.version_number())),
            (Reply::text("id"), Reply::Integer(self.id as i64)),
            (Reply::text("mode"), Reply::text("standalone")),
            (Reply::text("role"), Reply::text("master")),
            (Reply::text("modules"), Reply::Array(Vec::new())),
        ])
    }

    /// The number of the version of the protocol.
    pub(super) fn version_number(&self) -> i64 {
        match self.protocol {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        }
    }

    fn auth(&mut self, words: &[Bytes]) -> Outcome {
        match words {
            [_] if !self.service.needs_login() => {
                return Err("ERR AUTH <password> called without any password configured for the default user. \
                            Are you sure your configuration is correct?"
                    .into());
            }
            [password] => self.log_in(DEFAULT_USER.as_bytes(), password)?,
            [user, password] => self.log_in(user, password)?,
            [] => return Err(arity("auth")),
            _ => return Err(SYNTAX.into()),
        }
        Ok(Reply::OK)
    }

    fn log_in(&mut self, user: &[u8], password: &[u8]) -> Result<(), String> {
        if !self.service.needs_login() && user == DEFAULT_USER.as_bytes() {
            return Ok(());
        }
        let service = self.service.clone();
        let login = service.login(user, password).ok_or(WRONG_PASSWORD)?;
        if let Some(number) = login.database {
            self.check_departure("the login", number)?;
        }
        self.user = Some(login.user.clone());
        if let Some(number) = login.database {
            self.start = number;
            self.enter(number);
        }
        Ok(())
    }

    fn select(&mut self, words: &[Bytes]) -> Outcome {
        let [number] = words else {
            return Err(arity("select"));
        };
        let number = number::integer(number).ok_or("ERR invalid DB index")?;
        let number = match number {
            // Where clients of its listener or user begin.
            0 if self.start < 0 => self.start,
            ..0 => return Err(OUT_OF_RANGE.into()),
            number => number,
        };
        self.check_departure("SELECT", number)?;
        if !self.service.databases.contains_key(&number) {
            return Err(OUT_OF_RANGE.into());
        }
        self.enter(number);
        Ok(Reply::OK)
    }

    /// Refuses to leave the database while the client keeps something there.
    fn check_departure(&self, command: &str, number: i64) -> Result<(), String> {
        if number == self.number {
            return Ok(());
        }
        let kept = match (&self.watch, &self.subscription) {
            (Watch::Held(_) | Watch::Lost(_), _) => "the keys of another database are watched",
            (_, Some(_)) => "there are subscriptions to another database",
            (Watch::Nothing, None) => return Ok(()),
        };
        Err(format!(
            "REFUSED {command} is refused: {kept}; the command was not sent"
        ))
    }

    fn enter(&mut self, number: i64) {
        self.number = number;
        self.database = self.service.databases[&number].clone();
    }

    /// As a client that has just connected.
    fn reset(&mut self) -> Reply {
        self.transaction = None;
        self.watch = Watch::Nothing;
        self.subscription = None;
        self.protocol = Protocol::default();
        self.name = Bytes::new();
        if self.service.needs_login() {
            self.user = None;
        }
        self.enter(self.start);
        Reply::Status("RESET".into())
    }
}

fn ping(words: &[Bytes]) -> Outcome {
    match words {
        [] => Ok(Reply::Status("PONG".into())),
        [text] => Ok(Reply::Bulk(text.clone())),
        _ => Err(arity("ping")),
    }
}

fn echo(words: &[Bytes]) -> Outcome {
    match words {
        [text] => Ok(Reply::Bulk(text.clone())),
        _ => Err(arity("echo")),
    }
}

pub(super) fn arity(name: &str) -> String {
    format!("ERR wrong number of arguments for '{name}' command")
}

/// Whether a word is this one, in any case.
pub(super) fn is(word: &[u8], known: &str) -> bool {
    word.eq_ignore_ascii_case(known.as_bytes())
}

/// A name as CLIENT INFO can show it.
pub(super) fn check_name(name: &[u8], subject: &str) -> Result<(), String> {
    if name.iter().all(u8::is_ascii_graphic) {
        return Ok(());
    }
    Err(format!(
        "ERR {subject} cannot contain spaces, newlines or special characters."
    ))
}
