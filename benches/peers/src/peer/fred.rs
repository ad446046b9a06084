//! fred: one client, and its round-robin pool of [`CLIENTS`] clients, each with one connection.
//!
//! Set: `TCP_NODELAY`, which is off by default. Pipelining across tasks is automatic. Replies are
//! `Bytes`, slices of what was read, and values are handed over as `Bytes` without a copy.

use anyhow::Result;
use bytes::Bytes;
use fred::{
    clients::{Client, Pool},
    interfaces::{ClientLike, KeysInterface},
    types::{Builder, Value, config::Config},
};

use super::{Peer, expect};

const CLIENTS: usize = 4;

#[derive(Clone)]
pub struct Fred(Client);

#[derive(Clone)]
pub struct FredPool(Pool);

impl Peer for Fred {
    type Reply = Bytes;

    async fn connect(url: &str) -> Result<Self> {
        let client = builder(url)?.build()?;
        client.init().await?;
        Ok(Self(client))
    }

    async fn get(&mut self, key: &str) -> Result<Bytes> {
        Ok(self.0.get(key).await?)
    }

    async fn set(&mut self, key: &str, value: &Bytes) -> Result<()> {
        set(&self.0, key, value).await
    }

    async fn incr(&mut self, key: &str) -> Result<i64> {
        Ok(self.0.incr(key).await?)
    }

    async fn pipeline(&mut self, keys: &[String]) -> Result<Vec<Bytes>> {
        pipeline(&self.0, keys).await
    }

    async fn disconnect(self) -> Result<()> {
        Ok(self.0.quit().await?)
    }
}

impl Peer for FredPool {
    type Reply = Bytes;

    async fn connect(url: &str) -> Result<Self> {
        let pool = builder(url)?.build_pool(CLIENTS)?;
        pool.init().await?;
        Ok(Self(pool))
    }

    async fn get(&mut self, key: &str) -> Result<Bytes> {
        Ok(self.0.get(key).await?)
    }

    async fn set(&mut self, key: &str, value: &Bytes) -> Result<()> {
        set(&self.0, key, value).await
    }

    async fn incr(&mut self, key: &str) -> Result<i64> {
        Ok(self.0.incr(key).await?)
    }

    async fn pipeline(&mut self, keys: &[String]) -> Result<Vec<Bytes>> {
        pipeline(self.0.next(), keys).await
    }

    async fn disconnect(self) -> Result<()> {
        Ok(self.0.quit().await?)
    }
}

fn builder(url: &str) -> Result<Builder> {
    let mut builder = Builder::from_config(Config::from_url(url)?);
    builder.with_connection_config(|connection| connection.tcp.nodelay = Some(true));
    Ok(builder)
}

async fn set(client: &(impl KeysInterface + Sync), key: &str, value: &Bytes) -> Result<()> {
    let value = Value::Bytes(value.clone());
    let reply: Value = client.set(key, value, None, None, false).await?;
    expect(Some("OK"), reply.as_str().as_deref())
}

async fn pipeline(client: &Client, keys: &[String]) -> Result<Vec<Bytes>> {
    let pipeline = client.pipeline();
    for key in keys {
        let () = pipeline.get(key).await?;
    }
    Ok(pipeline.all().await?)
}
