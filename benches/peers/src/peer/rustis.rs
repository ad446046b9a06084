//! rustis: one multiplexed client. Commands of several tasks are batched automatically, and
//! `TCP_NODELAY` is a default.
//!
//! Set: no bound on queued bytes. The default of 16 MiB refuses 1024 SETs of 16 KiB at a time. Over TLS, the
//! authority.

use anyhow::Result;
use bytes::Bytes;
use rustis::{
    client::{BatchPreparedCommand, Client, Config, TlsConfig, prepare_command},
    commands::StringCommands,
    resp::{BulkString, FastPathCommandBuilder},
};

use super::{Peer, expect};
use crate::address::Address;

#[derive(Clone)]
pub struct Rustis(pub(super) Client);

/// Its byte string, which is a `Vec<u8>` to serde.
pub struct Value(pub(super) BulkString);

impl Peer for Rustis {
    type Reply = Value;

    async fn connect(address: &Address) -> Result<Self> {
        let mut config: Config = address.url().parse()?;
        config.backpressure.max_queued_bytes = 0;
        if let Some(authority) = &address.authority {
            config.tls_config = Some(TlsConfig::new(authority.client().into()));
        }
        Ok(Self(Client::connect(config).await?))
    }

    async fn get(&mut self, key: &str) -> Result<Value> {
        Ok(Value(self.0.get(key).await?))
    }

    async fn set(&mut self, key: &str, value: &Bytes) -> Result<()> {
        // `StringCommands::set` does not look at what the reply says; as a `bool` it is checked
        // to be OK.
        let command = FastPathCommandBuilder::set(key, value);
        let okay: bool = prepare_command(&self.0, command).await?;
        expect(true, okay)
    }

    async fn incr(&mut self, key: &str) -> Result<i64> {
        Ok(self.0.incr(key).await?)
    }

    async fn pipeline(&mut self, keys: &[String]) -> Result<Vec<Value>> {
        let mut pipeline = self.0.create_pipeline();
        pipeline.reserve(keys.len());
        for key in keys {
            pipeline.get::<()>(key).queue();
        }
        let replies: Vec<BulkString> = pipeline.execute().await?;
        Ok(replies.into_iter().map(Value).collect())
    }

    async fn mget(&mut self, keys: &[String]) -> Result<Vec<Value>> {
        let replies: Vec<BulkString> = self.0.mget(keys).await?;
        Ok(replies.into_iter().map(Value).collect())
    }

    async fn disconnect(self) -> Result<()> {
        self.0.close().await?;
        Ok(())
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
