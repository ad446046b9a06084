//! fred: one client, and its round-robin pool of [`CLIENTS`] clients, each with one connection.
//!
//! Set: `TCP_NODELAY`, which is off by default. Pipelining across tasks is automatic. Replies are
//! `Bytes`, slices of what was read, and values are handed over as `Bytes` without a copy. Over TLS, the authority.

use anyhow::Result;
use bytes::Bytes;
use fred::{
    clients::{Client, Pool},
    error::Error,
    interfaces::{ClientLike, KeysInterface},
    types::{
        Builder, Value,
        config::{Config, ServerConfig, TlsConnector},
    },
};

use super::{Peer, expect};
use crate::address::Address;

const CLIENTS: usize = 4;

pub type Fred = Shared<Client>;
pub type FredPool = Shared<Pool>;

#[derive(Clone)]
pub struct Shared<C>(C);

pub trait Handle: ClientLike + KeysInterface + Sync {
    fn build(builder: Builder) -> Result<Self, Error>;

    /// The client for the next pipeline.
    fn next(&self) -> &Client;
}

impl Handle for Client {
    fn build(builder: Builder) -> Result<Self, Error> {
        builder.build()
    }

    fn next(&self) -> &Client {
        self
    }
}

impl Handle for Pool {
    fn build(builder: Builder) -> Result<Self, Error> {
        builder.build_pool(CLIENTS)
    }

    fn next(&self) -> &Client {
        self.next()
    }
}

impl<C: Handle + Send + 'static> Peer for Shared<C> {
    type Reply = Bytes;

    async fn connect(address: &Address) -> Result<Self> {
        let server = match &address.nodes {
            None => ServerConfig::new_centralized("127.0.0.1", address.port),
            Some(nodes) => {
                let nodes = nodes.iter().map(|&port| ("127.0.0.1", port));
                ServerConfig::new_clustered(nodes.collect())
            }
        };
        let mut config = Config {
            server,
            ..Config::default()
        };
        if let Some(authority) = &address.authority {
            config.tls = Some(TlsConnector::from(authority.client()).into());
        }
        let mut builder = Builder::from_config(config);
        builder.with_connection_config(|connection| connection.tcp.nodelay = Some(true));
        let handle = C::build(builder)?;
        handle.init().await?;
        Ok(Self(handle))
    }

    async fn get(&mut self, key: &str) -> Result<Bytes> {
        Ok(self.0.get(key).await?)
    }

    async fn set(&mut self, key: &str, value: &Bytes) -> Result<()> {
        let value = Value::Bytes(value.clone());
        let reply: Value = self.0.set(key, value, None, None, false).await?;
        expect(Some("OK"), reply.as_str().as_deref())
    }

    async fn incr(&mut self, key: &str) -> Result<i64> {
        Ok(self.0.incr(key).await?)
    }

    async fn pipeline(&mut self, keys: &[String]) -> Result<Vec<Bytes>> {
        let pipeline = self.0.next().pipeline();
        for key in keys {
            let () = pipeline.get(key).await?;
        }
        Ok(pipeline.all().await?)
    }

    async fn mget(&mut self, keys: &[String]) -> Result<Vec<Bytes>> {
        Ok(self.0.mget(keys.to_vec()).await?)
    }

    async fn disconnect(self) -> Result<()> {
        Ok(self.0.quit().await?)
    }
}
