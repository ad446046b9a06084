//! redis-tower's multiplexed client with a cache, which has a second connection for what the server tells. Both have RESP3. By
//! default the server tells of changes of all keys, and each reply is kept for half a minute.
//!
//! Set: room for [`NEAR_KEYS`] keys instead of 10,000.

use anyhow::Result;
use bytes::Bytes;
use redis_tower::{
    CachedClientConfig, CachedMultiplexedClient, Pipeline,
    commands::{Get, Incr, Set, SetStatus},
};

use super::{
    NEAR_KEYS, Peer, expect,
    tower::{Value, tower_commands},
};
use crate::address::Address;

#[derive(Clone)]
pub struct TowerNear(CachedMultiplexedClient);

impl Peer for TowerNear {
    type Reply = Value;

    async fn connect(address: &Address) -> Result<Self> {
        let config = CachedClientConfig::new().max_entries(NEAR_KEYS);
        let url = address.url();
        let client = CachedMultiplexedClient::connect_url_with_config(&url, config).await?;
        Ok(Self(client))
    }

    tower_commands!();

    async fn pipeline(&mut self, keys: &[String]) -> Result<Vec<Value>> {
        let mut pipeline = Pipeline::new();
        for key in keys {
            pipeline = pipeline.push(Get::new(key.as_str()));
        }
        let replies = pipeline.execute(&mut self.0).await?;
        let values = replies.into_typed_vec::<Option<Bytes>>()?;
        Ok(values.into_iter().map(Value).collect())
    }

    async fn disconnect(self) -> Result<()> {
        self.0.shutdown().await;
        Ok(())
    }
}
