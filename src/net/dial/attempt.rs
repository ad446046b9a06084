//! One attempt of a dial: a connection, and a greeting on it.

use std::{io, sync::Arc};

use tokio::time::timeout_at;

use super::{
    DialError, Dialler,
    allowance::Allowance,
    course::Stumble,
    error::{CONNECTING, LOOKING_UP},
    greeting::{Failed, Greeted, Greeting},
    handshake::Handshake,
    securing::secure,
};
use crate::{
    config::{Address, DatabaseSettings},
    net::transport::Transport,
};

impl Dialler {
    /// Connects and greets the peer once. Unless it `is_last`, a peer that keeps silent leaves time for
    /// another greeting.
    pub(super) async fn attempt(
        &self,
        address: &Address,
        greeting: &Greeting<'_>,
        is_last: bool,
        time: Allowance,
    ) -> Result<(Handshake, Greeted), Failed> {
        let transport = self.connect(address, greeting.settings(), time).await?;
        let mut handshake = Handshake::new(transport);
        let patience = if is_last {
            time.deadline
        } else {
            time.half_of_rest()
        };
        match timeout_at(patience, greeting.run(&mut handshake)).await {
            Ok(greeted) => greeted.map(|greeted| (handshake, greeted)),
            Err(_) => Err(match handshake.take_last_words() {
                Some(refusal) => refusal.into(),
                None => Failed {
                    stumble: Some((handshake.waits_for(), Stumble::Silence)),
                    error: time.over(handshake.waits_for().phase()),
                },
            }),
        }
    }

    async fn connect(
        &self,
        address: &Address,
        settings: &DatabaseSettings,
        time: Allowance,
    ) -> Result<Box<dyn Transport>, DialError> {
        let connecting = self.connector.connect(address, settings);
        let connected = match timeout_at(time.deadline, connecting).await {
            Ok(connected) => connected.map_err(|error| {
                let is_known = *address == settings.address;
                let told = format!("{address}: {error}");
                let told = (!is_known).then(|| io::Error::new(error.kind(), told));
                DialError::Connect(Arc::new(told.unwrap_or(error)))
            }),
            // Only the connector knows that a name server is to blame and not the server.
            Err(_) if self.connector.is_looking_up(address) => Err(time.over(LOOKING_UP)),
            Err(_) => Err(time.over(CONNECTING)),
        };
        let secured = match connected {
            Ok(transport) => secure(transport, &*self.connector, address, settings, time).await,
            Err(error) => Err(error),
        };
        // Another server may listen there afterwards.
        secured.inspect_err(|_| self.memory.forget())
    }
}
