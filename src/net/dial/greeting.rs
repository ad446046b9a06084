//! One greeting: its commands in one write, and the meaning of the answers.
//!
//! Only the login and the selection of a database have to succeed. Everything else is a courtesy, and any
//! answer to it will do that belongs to the command: an answer proves that a server runs commands.

use std::{iter, net::IpAddr, sync::Arc};

use redis::{Cmd, ServerError, Value, cmd};

use super::{
    course::Stumble,
    error::DialError,
    established::{ServerInfo, ServerProgram},
    handshake::Handshake,
    login::Login,
    memory::Manner,
    moving_endpoint::moving_endpoint,
    refusal::is_about_the_command,
    step::{Step, Steps},
};
use crate::{
    config::{Address, DatabaseSettings, MaintenanceNotifications, Protocol},
    reply_code::ReplyCode,
};

/// A greeting of an endpoint, with a text of its own that PING has to return.
pub(super) struct Greeting<'a> {
    settings: &'a DatabaseSettings,
    manner: Manner,
    /// The server is a replica of a cluster.
    is_replica: bool,
    nonce: String,
}

/// The result of a greeting.
#[derive(Debug, Default)]
pub(super) struct Greeted {
    pub(super) seen: ServerInfo,
    /// The commands that the server will refuse again.
    pub(super) refused: Steps,
    /// The form of the login that was accepted.
    pub(super) login: Option<Login>,
    /// The server is loading its dataset, and refuses this command until it has finished.
    pub(super) loading: Option<Step>,
    /// The server announces its maintenance.
    pub(super) announces: bool,
}

/// Why a greeting failed.
#[derive(Debug)]
pub(super) struct Failed {
    /// The command that the peer stumbled at. Without it, another greeting would be no better.
    pub(super) stumble: Option<(Step, Stumble)>,
    pub(super) error: DialError,
}

impl From<DialError> for Failed {
    fn from(error: DialError) -> Self {
        Self {
            stumble: None,
            error,
        }
    }
}

/// The commands that the settings ask for, and that a server may do without.
pub(super) fn courtesies(settings: &DatabaseSettings) -> Steps {
    let mut asked = Steps::PING;
    if !settings.without_hello {
        asked = asked.with(Steps::HELLO);
    }
    if !settings.without_client_name {
        asked = asked.with(Steps::NAMES);
    }
    if wants_announcements(settings) {
        asked = asked.with(Steps::ANNOUNCEMENTS);
    }
    asked
}

/// Only what is reached over a network moves, and announcements are pushes.
fn wants_announcements(settings: &DatabaseSettings) -> bool {
    let is_wanted = settings.maintenance_notifications != MaintenanceNotifications::Off;
    let is_remote = !matches!(settings.address, Address::Unix(_) | Address::Memory(_));
    is_wanted && is_remote && settings.protocol == Protocol::Resp3
}

/// The commands that have to succeed.
fn necessities(settings: &DatabaseSettings) -> Steps {
    let mut needed = Steps::default();
    if settings.password.is_some() {
        needed = needed.with(Steps::of(&[Step::Login]));
    }
    if settings.number != 0 && !settings.without_select {
        needed = needed.with(Steps::of(&[Step::Select]));
    }
    if settings.address.is_of_sentinels() {
        needed = needed.with(Steps::of(&[Step::Role]));
    }
    needed
}

impl<'a> Greeting<'a> {
    pub(super) fn new(settings: &'a DatabaseSettings, manner: Manner, is_replica: bool) -> Self {
        Self {
            settings,
            manner,
            is_replica,
            nonce: format!("{:016x}", fastrand::u64(..)),
        }
    }

    pub(super) fn settings(&self) -> &'a DatabaseSettings {
        self.settings
    }

    /// Greets the server. All commands go out in one write, twice if the login takes another form.
    pub(super) async fn run(&self, handshake: &mut Handshake) -> Result<Greeted, Failed> {
        let first = Login::of(self.settings);
        let mut recalled = self.manner.login.filter(|login| first != Some(*login));
        let mut login = recalled.or(first);
        loop {
            let steps = self.steps();
            let announces = steps.contains(&Step::Announcements);
            let peer = announces.then(|| handshake.peer_ip()).flatten();
            let commands: Vec<_> = steps
                .iter()
                .map(|step| self.command(*step, login, peer))
                .collect();
            handshake.send(&commands).await;
            let mut rest = steps.into_iter();
            if let Some(form) = login {
                rest.next();
                if let Err(refusal) = self.log_in(handshake).await? {
                    let other = match recalled.take() {
                        Some(_) => first,
                        None => form.instead(&refusal),
                    };
                    login = Some(other.ok_or_else(|| refused(Step::Login, &refusal))?);
                    for step in rest {
                        self.reply(handshake, step).await?;
                    }
                    continue;
                }
            }
            let mut greeted = Greeted {
                login,
                ..Greeted::default()
            };
            for step in rest {
                self.take(handshake, step, &mut greeted).await?;
            }
            return Ok(greeted);
        }
    }

    /// Asks a server that was loading its dataset once more.
    pub(super) async fn ask_again(
        &self,
        step: Step,
        handshake: &mut Handshake,
        greeted: &mut Greeted,
    ) -> Result<(), Failed> {
        greeted.loading = None;
        handshake.send(&[self.command(step, None, None)]).await;
        self.take(handshake, step, greeted).await
    }

    /// The commands in their order. A greeting that would be empty proves nothing.
    fn steps(&self) -> Vec<Step> {
        // A role that the server does not tell this user is not asked for again.
        let needed = necessities(self.settings).without(self.manner.refused);
        let mut steps = self.manner.asked.with(needed);
        if self.is_replica {
            steps = steps.with(Steps::of(&[Step::ReadOnly]));
        }
        // In RESP2 an announcement would look like a reply.
        if !steps.has(Step::Hello) {
            steps = steps.without(Steps::ANNOUNCEMENTS);
        }
        let steps = if steps.is_empty() { Steps::READ } else { steps };
        steps.iter().collect()
    }

    fn command(&self, step: Step, login: Option<Login>, peer: Option<IpAddr>) -> Cmd {
        let settings = self.settings;
        match step {
            Step::Login => login.map_or_else(Cmd::new, |login| login.command(settings)),
            Step::Hello => {
                let version = match settings.protocol {
                    Protocol::Resp2 => 2,
                    Protocol::Resp3 => 3,
                };
                cmd("HELLO").arg(version).take()
            }
            Step::Select => cmd("SELECT").arg(settings.number).take(),
            Step::Name => words(["CLIENT", "SETNAME", &settings.client_name]),
            Step::LibraryName => words(["CLIENT", "SETINFO", "LIB-NAME", env!("CARGO_PKG_NAME")]),
            Step::LibraryVersion => {
                words(["CLIENT", "SETINFO", "LIB-VER", env!("CARGO_PKG_VERSION")])
            }
            Step::Announcements => {
                let endpoint = moving_endpoint(settings, peer);
                let kind = "moving-endpoint-type";
                words(["CLIENT", "MAINT_NOTIFICATIONS", "ON", kind, endpoint])
            }
            Step::Role => words(["ROLE"]),
            Step::ReadOnly => words(["READONLY"]),
            Step::Ping => words(["PING", &self.nonce]),
            Step::Read => words(["GET", &self.nonce]),
        }
    }

    async fn reply(&self, handshake: &mut Handshake, step: Step) -> Result<Value, Failed> {
        let reply = handshake.reply(step).await;
        reply.map_err(|error| Failed {
            stumble: error
                .is_about_the_greeting()
                .then_some((step, Stumble::HangUp)),
            error,
        })
    }

    /// The answer to the login: accepted, or the server's refusal.
    async fn log_in(&self, handshake: &mut Handshake) -> Result<Result<(), ServerError>, Failed> {
        match self.reply(handshake, Step::Login).await? {
            Value::Okay => Ok(Ok(())),
            Value::ServerError(error) => Ok(Err(error)),
            _ => Err(misfit(Step::Login)),
        }
    }

    /// Takes the answer to a command, which has to belong to it: a peer that skips a command would otherwise
    /// answer all later requests in the wrong order.
    async fn take(
        &self,
        handshake: &mut Handshake,
        step: Step,
        greeted: &mut Greeted,
    ) -> Result<(), Failed> {
        match (step, self.reply(handshake, step).await?) {
            (Step::Select | Step::ReadOnly, Value::ServerError(error)) => {
                Err(refused(step, &error))
            }
            (Step::Ping | Step::Read, Value::ServerError(error)) => {
                self.refused_proof(step, &error, greeted)
            }
            (_, Value::ServerError(error)) => {
                if is_about_the_command(&error) {
                    greeted.refused = greeted.refused.with(Steps::of(&[step]));
                } else {
                    handshake.note_refusal(step, &error);
                }
                Ok(())
            }
            (Step::Hello, reply) => {
                let fields = fields(reply).ok_or_else(|| misfit(step))?;
                let role = text_of(&fields, b"role");
                greeted.seen.is_replica = Some(matches!(role, Some(b"replica" | b"slave")));
                greeted.seen.program = program(&fields);
                Ok(())
            }
            // What it says here counts more than what it says to HELLO, since every server says it.
            (Step::Role, Value::Array(role)) => {
                let role = role.first().and_then(text);
                greeted.seen.is_replica = Some(role != Some(b"master"));
                Ok(())
            }
            (Step::Announcements, Value::Okay) => {
                greeted.announces = true;
                Ok(())
            }
            (Step::Ping, reply) if self.answers_ping(&reply) => {
                greeted.seen.cannot_save = Some(false);
                Ok(())
            }
            (Step::Read, Value::Nil | Value::BulkString(_)) => Ok(()),
            (
                Step::Select
                | Step::Name
                | Step::LibraryName
                | Step::LibraryVersion
                | Step::ReadOnly,
                Value::Okay,
            ) => Ok(()),
            _ => Err(misfit(step)),
        }
    }

    /// The server returns the text, or says PONG whatever it was asked. A connection in the state of a
    /// subscriber has an answer of its own.
    fn answers_ping(&self, reply: &Value) -> bool {
        let answers =
            |text: &[u8]| text == self.nonce.as_bytes() || text.eq_ignore_ascii_case(b"pong");
        match reply {
            Value::BulkString(bytes) => answers(bytes),
            Value::SimpleString(text) => answers(text.as_bytes()),
            Value::Array(items) => items.first().is_some_and(|item| self.answers_ping(item)),
            _ => false,
        }
    }

    /// A refusal that shows that the server runs commands is as good as an answer. A server that is loading
    /// accepts the whole greeting and refuses commands, so others are not.
    fn refused_proof(
        &self,
        step: Step,
        error: &ServerError,
        greeted: &mut Greeted,
    ) -> Result<(), Failed> {
        match ReplyCode::of(error.code()) {
            // It refuses PING with the writes, and serves reads.
            ReplyCode::CannotSave => greeted.seen.cannot_save = Some(true),
            ReplyCode::ReadOnly | ReplyCode::OutOfMemory | ReplyCode::NoReplicas => {}
            ReplyCode::Loading => greeted.loading = Some(step),
            _ if is_about_the_command(error) => {
                greeted.refused = greeted.refused.with(Steps::of(&[step]));
            }
            _ => return Err(refused(step, error)),
        }
        Ok(())
    }
}

fn words<const N: usize>(words: [&str; N]) -> Cmd {
    Cmd::new().arg(&words[..]).take()
}

fn refused(step: Step, error: &ServerError) -> Failed {
    DialError::refused(step.command(), error).into()
}

fn misfit(step: Step) -> Failed {
    let command = step.command();
    Failed {
        stumble: Some((step, Stumble::Misfit)),
        error: DialError::Unexpected { command },
    }
}

/// The fields of the answer to HELLO; `None` if it is no such answer. It is a map, or in RESP2 its keys and values
/// in a row.
fn fields(hello: Value) -> Option<Vec<(Value, Value)>> {
    match hello {
        Value::Map(fields) => Some(fields),
        Value::Array(items) => {
            let mut items = items.into_iter();
            Some(iter::from_fn(|| Some((items.next()?, items.next()?))).collect())
        }
        _ => None,
    }
}

fn text_of<'a>(fields: &'a [(Value, Value)], wanted: &[u8]) -> Option<&'a [u8]> {
    let value = fields.iter().find(|(key, _)| text(key) == Some(wanted));
    value.and_then(|(_, value)| text(value))
}

fn text(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// The name and version, if both are what names and versions look like.
fn program(fields: &[(Value, Value)]) -> Option<Arc<ServerProgram>> {
    const LONGEST: usize = 64;
    let word = |key: &[u8]| {
        let word = text_of(fields, key)?;
        let is_word = word.len() <= LONGEST && word.iter().all(u8::is_ascii_graphic);
        is_word.then(|| String::from_utf8_lossy(word).into_owned())
    };
    Some(Arc::new(ServerProgram {
        name: word(b"server")?,
        version: word(b"version")?,
    }))
}
