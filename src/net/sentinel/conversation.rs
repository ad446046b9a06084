//! A connection to one sentinel.

use bytes::BytesMut;
use redis::{Cmd, Value, cmd};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::words::refusal;
use crate::{
    config::{Address, DatabaseSettings},
    net::{
        codec::{Decoded, Decoder, Limits},
        negotiation::negotiate,
        transport::{Connector, Transport},
    },
};

/// Far beyond what a sentinel says of a service.
const LIMITS: Limits = Limits {
    max_bytes: 1024 * 1024,
    max_depth: 8,
    max_elements: 64 * 1024,
};

/// Commands and answers, one after the other. The caller bounds the time.
pub(super) struct Conversation {
    transport: Box<dyn Transport>,
    input: BytesMut,
    decoder: Decoder,
    /// The login, until it is sent, which is with the first commands.
    login: Option<Cmd>,
}

impl Conversation {
    /// # Errors
    /// Why the sentinel cannot be reached.
    pub(super) async fn open(
        connector: &dyn Connector,
        settings: &DatabaseSettings,
        sentinel: &Address,
    ) -> Result<Self, String> {
        let connected = async {
            let transport = connector.connect(sentinel, settings).await?;
            match (&settings.tls, sentinel) {
                (Some(tls), Address::Tcp { host, .. }) => negotiate(transport, tls, host).await,
                _ => Ok(transport),
            }
        };
        let transport = connected.await.map_err(|error| error.to_string())?;
        Ok(Self {
            transport,
            input: BytesMut::new(),
            decoder: Decoder::new(LIMITS),
            login: login(settings),
        })
    }

    /// The answers to these commands. An error reply is an answer, but not to the login.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn ask(&mut self, commands: &[Cmd]) -> Result<Vec<Value>, String> {
        let login = self.login.take();
        let mut bytes = Vec::new();
        for command in login.iter().chain(commands) {
            command.write_packed_command(&mut bytes);
        }
        self.write(&bytes).await?;
        if login.is_some()
            && let Value::ServerError(error) = self.next().await?
        {
            return Err(format!("it refuses AUTH: {}", refusal(&error)));
        }
        let mut answers = Vec::with_capacity(commands.len());
        for _ in commands {
            answers.push(self.next().await?);
        }
        Ok(answers)
    }

    /// Sends a command whose answers come among the messages.
    pub(super) async fn send(&mut self, command: &Cmd) -> Result<(), String> {
        self.write(&command.get_packed_command()).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let written = async {
            self.transport.write_all(bytes).await?;
            self.transport.flush().await
        };
        written.await.map_err(|error| error.to_string())
    }

    /// The next answer or message. The future may be dropped at any point.
    pub(super) async fn next(&mut self) -> Result<Value, String> {
        loop {
            let decoded = self.decoder.decode(&mut self.input);
            match decoded.map_err(|error| error.to_string())? {
                Some(Decoded::Value(value)) => return Ok(value),
                Some(Decoded::TooLarge(_)) => return Err("its answer is too large".into()),
                None if self.decoder.exceeded().is_some() => {
                    return Err("its answer is too large".into());
                }
                None => {}
            }
            match self.transport.read_buf(&mut self.input).await {
                Ok(0) => return Err("it has closed the connection".into()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// The login of sentinels, which may differ from that of the server.
fn login(settings: &DatabaseSettings) -> Option<Cmd> {
    let password = settings.sentinel_password.as_ref()?;
    let mut auth = cmd("AUTH");
    if let Some(user) = &settings.sentinel_username {
        auth.arg(&user.0);
    }
    Some(auth.arg(password.expose_secret()).take())
}
