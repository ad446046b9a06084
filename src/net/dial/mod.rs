//! Opens a connection: transport, handshake, and the proof that the server runs commands.

mod error;
mod established;
mod handshake;

pub(crate) use error::DialError;
pub(crate) use established::{Established, ServerInfo};

use std::{sync::Arc, time::Duration};

use redis::{Cmd, ServerError, Value, cmd};
use secrecy::ExposeSecret;
use tokio::time::{Instant, sleep, timeout_at};

use self::{
    error::{CONNECTING, GREETING, LOOKING_UP, PROVING},
    handshake::Handshake,
};
use super::{
    locate::Locate,
    transport::{Connector, Transport},
};
use crate::{config::DatabaseSettings, events::Reason, reply_code::ReplyCode};

/// The interval at which a server that is loading its dataset is asked whether it has finished.
const LOADING_POLL: Duration = Duration::from_millis(20);

/// The treatment of a server that is loading its dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhileLoading {
    /// Wait for it, up to the timeout of the dial.
    Wait,
    /// Report it at once.
    Report,
}

/// The way to the server of a database.
#[derive(Clone, Debug)]
pub(crate) struct Dialler {
    locator: Arc<dyn Locate>,
    connector: Arc<dyn Connector>,
}

impl Dialler {
    pub(crate) fn new(locator: impl Locate, connector: Arc<dyn Connector>) -> Self {
        Self {
            locator: Arc::new(locator),
            connector,
        }
    }

    /// Opens a connection within the connect timeout of `settings`.
    pub(crate) async fn dial(
        &self,
        settings: &DatabaseSettings,
        while_loading: WhileLoading,
    ) -> Result<Established, DialError> {
        let deadline = Instant::now() + settings.connect_timeout;
        let mut step = CONNECTING;
        let attempt = async {
            let transport = self.connect(settings).await?;
            let mut handshake = Handshake::new(transport, settings.max_reply_bytes);
            step = GREETING;
            let is_replica = greet(&mut handshake, settings).await?;
            step = PROVING;
            let cannot_save = prove(&mut handshake, while_loading, deadline).await?;
            handshake.established(ServerInfo {
                is_replica,
                cannot_save,
            })
        };
        match timeout_at(deadline, attempt).await {
            Ok(Ok(established)) => Ok(established),
            Ok(Err(error)) => Err(error.during(step)),
            Err(_) => Err(self.timed_out(step, settings)),
        }
    }

    /// Checks whether a peer that speaks the protocol answers at the address, within the timeout of a dial.
    /// A refusal is an answer too: credentials are not checked here.
    pub(crate) async fn check_endpoint(
        &self,
        settings: &DatabaseSettings,
    ) -> Result<(), DialError> {
        let deadline = Instant::now() + settings.connect_timeout;
        let mut step = CONNECTING;
        let attempt = async {
            let transport = self.connect(settings).await?;
            step = PROVING;
            let mut handshake = Handshake::new(transport, settings.max_reply_bytes);
            handshake.call([&cmd("PING")]).await.map(drop)
        };
        match timeout_at(deadline, attempt).await {
            Ok(answer) => answer.map_err(|error| error.during(step)),
            Err(_) => Err(self.timed_out(step, settings)),
        }
    }

    /// The error of a dial that has taken too long, at this step. Only the connector knows that a name server is to
    /// blame and not the server.
    fn timed_out(&self, step: &'static str, settings: &DatabaseSettings) -> DialError {
        let waits_for_name = step == CONNECTING && self.connector.is_looking_up(&settings.address);
        DialError::TimedOut {
            step: if waits_for_name { LOOKING_UP } else { step },
            limit: settings.connect_timeout,
        }
    }

    async fn connect(&self, settings: &DatabaseSettings) -> Result<Box<dyn Transport>, DialError> {
        let connected = async {
            let address = self.locator.locate(settings).await?;
            self.connector.connect(&address, settings).await
        };
        let connected = connected.await;
        connected.map_err(|error| DialError::Connect(Arc::new(error)))
    }
}

/// Agrees on RESP3, or RESP2 with servers before 6.0, authenticates, and selects the database. Tells
/// whether the server calls itself a replica, if it says so.
async fn greet(
    handshake: &mut Handshake,
    settings: &DatabaseSettings,
) -> Result<Option<bool>, DialError> {
    let [hello] = handshake.call([&hello(settings)]).await?;
    let is_replica = match hello {
        // Servers before 6.0 do not know HELLO, and some proxies refuse RESP3.
        Value::ServerError(error) if no_hello(&error) => {
            let refused = DialError::refused("HELLO", &error);
            if refused.reason() == Reason::ServerFull {
                return Err(refused);
            }
            authenticate(handshake, settings).await?;
            None
        }
        Value::ServerError(error) => return Err(DialError::refused("HELLO", &error)),
        Value::Map(fields) => Some(fields.iter().any(says_replica)),
        _ => return Err(DialError::Unexpected { command: "HELLO" }),
    };
    let select = cmd("SELECT").arg(settings.number).take();
    let name = cmd("CLIENT")
        .arg("SETNAME")
        .arg(&settings.client_name)
        .take();
    // The name only helps readers of CLIENT LIST, so a server may refuse it.
    let [selected, _named] = handshake.call([&select, &name]).await?;
    match selected {
        Value::Okay => Ok(is_replica),
        // Database 0 needs no SELECT, so a user without the permission can go on.
        Value::ServerError(_) if settings.number == 0 => Ok(is_replica),
        Value::ServerError(error) => Err(DialError::refused("SELECT", &error)),
        _ => Err(DialError::Unexpected { command: "SELECT" }),
    }
}

fn no_hello(error: &ServerError) -> bool {
    let code = ReplyCode::of(error.code());
    matches!(code, ReplyCode::General | ReplyCode::NoProtocol)
}

fn says_replica((field, value): &(Value, Value)) -> bool {
    let equals = |value: &Value, text: &[u8]| match value {
        Value::BulkString(bytes) => bytes == text,
        Value::SimpleString(string) => string.as_bytes() == text,
        _ => false,
    };
    equals(field, b"role") && (equals(value, b"replica") || equals(value, b"slave"))
}

fn hello(settings: &DatabaseSettings) -> Cmd {
    let mut hello = cmd("HELLO").arg(3).take();
    if let Some(password) = &settings.password {
        let user = settings.username.as_ref();
        let user = user.map_or("default", |user| &user.0);
        hello.arg("AUTH").arg(user).arg(password.expose_secret());
    }
    hello
}

async fn authenticate(
    handshake: &mut Handshake,
    settings: &DatabaseSettings,
) -> Result<(), DialError> {
    let Some(password) = &settings.password else {
        return Ok(());
    };
    let mut auth = cmd("AUTH");
    if let Some(user) = &settings.username {
        auth.arg(&user.0);
    }
    let [answer] = handshake.call([auth.arg(password.expose_secret())]).await?;
    match answer {
        Value::Okay => Ok(()),
        Value::ServerError(error) => Err(DialError::refused("AUTH", &error)),
        _ => Err(DialError::Unexpected { command: "AUTH" }),
    }
}

/// Proves that the server runs commands. A server that is loading accepts the whole greeting and refuses
/// commands, so only a PING that returns its own nonce proves a connection. Tells whether the server cannot
/// save, if it says so.
async fn prove(
    handshake: &mut Handshake,
    while_loading: WhileLoading,
    deadline: Instant,
) -> Result<Option<bool>, DialError> {
    loop {
        let nonce = format!("{:016x}", fastrand::u64(..));
        let [answer] = handshake.call([cmd("PING").arg(&nonce)]).await?;
        match answer {
            Value::BulkString(echo) if echo == nonce.as_bytes() => {
                return Ok(Some(false));
            }
            Value::ServerError(error) => match ReplyCode::of(error.code()) {
                // The user may not ping, or the server cannot save and refuses PING with the writes,
                // while it serves reads. Either is as good as an answer.
                ReplyCode::NoPermission => return Ok(None),
                ReplyCode::CannotSave => return Ok(Some(true)),
                ReplyCode::Loading => {
                    let wait = while_loading == WhileLoading::Wait;
                    if !wait || Instant::now() + LOADING_POLL >= deadline {
                        return Err(DialError::Loading);
                    }
                    sleep(LOADING_POLL).await;
                }
                _ => return Err(DialError::refused("PING", &error)),
            },
            _ => return Err(DialError::Unexpected { command: "PING" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Address, Config, DatabaseConfig, resolve},
        net::{
            SocketConnector, hanging_names::HangingNames, locate::FixedAddress,
            transport::Connecting,
        },
    };

    /// A name that never resolves, or a network that swallows everything.
    #[derive(Debug)]
    struct Nowhere;

    impl Connector for Nowhere {
        fn connect<'a>(&'a self, _: &'a Address, _: &'a DatabaseSettings) -> Connecting<'a> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dial_that_never_connects_is_unreachable() {
        let settings = resolve(Config::single("redis://nowhere")).expect("settings");
        let settings = &settings.databases[0];
        let dialler = Dialler::new(FixedAddress, Arc::new(Nowhere));
        let checked = dialler
            .check_endpoint(settings)
            .await
            .expect_err("no answer");
        assert_eq!(checked.reason(), Reason::Unreachable, "{checked}");
        let dialled = dialler.dial(settings, WhileLoading::Wait).await;
        let error = dialled.err().expect("no answer");
        assert_eq!(error.reason(), Reason::Unreachable, "{error}");
    }

    #[tokio::test]
    async fn a_dial_that_waits_for_a_name_says_so() {
        let names = HangingNames::default();
        let limit = Duration::from_millis(50);
        let main = DatabaseConfig::from_url("redis://hangs").connect_timeout(limit);
        let settings = resolve(Config::new().database("main", main)).expect("settings");
        let resolver = names.resolver();
        let dialler = Dialler::new(FixedAddress, Arc::new(SocketConnector { resolver }));
        let checked = dialler.check_endpoint(&settings.databases[0]).await;
        let error = checked.expect_err("no address");
        assert_eq!(error.reason(), Reason::Unreachable);
        let expected = "no answer within 50ms while looking up the name of the server";
        assert_eq!(error.to_string(), expected);
    }
}
