//! rustis with its cache (`client-cache`), over one multiplexed client with RESP3, which is its only protocol. It is set up as
//! in its example of client-side caching. The server tracks the keys that were read, and each reply is kept for a minute.
//!
//! Set: room for [`NEAR_KEYS`] keys instead of 10,000.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use rustis::{
    cache::{Cache, MokaStore},
    commands::ClientTrackingOptions,
    resp::BulkString,
};

use super::{
    NEAR_KEYS, Peer,
    rustis::{Rustis, Value},
};
use crate::address::Address;

const KEPT_FOR: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub struct RustisNear {
    client: Rustis,
    cache: Arc<Cache>,
}

impl Peer for RustisNear {
    type Reply = Value;

    async fn connect(address: &Address) -> Result<Self> {
        let client = Rustis::connect(address).await?;
        let store = MokaStore::new(KEPT_FOR, NEAR_KEYS as u64);
        let tracking = ClientTrackingOptions::default();
        let cache = Cache::with_store(client.0.clone(), store, tracking).await?;
        Ok(Self { client, cache })
    }

    /// None is empty, which no value of the bench is.
    async fn get(&mut self, key: &str) -> Result<Value> {
        let value: Option<BulkString> = self.cache.get(key).await?;
        Ok(Value(value.unwrap_or_else(|| BulkString::new([]))))
    }

    async fn set(&mut self, key: &str, value: &Bytes) -> Result<()> {
        self.client.set(key, value).await
    }

    async fn incr(&mut self, key: &str) -> Result<i64> {
        self.client.incr(key).await
    }

    async fn pipeline(&mut self, keys: &[String]) -> Result<Vec<Value>> {
        self.client.pipeline(keys).await
    }

    async fn disconnect(self) -> Result<()> {
        self.client.disconnect().await
    }
}
