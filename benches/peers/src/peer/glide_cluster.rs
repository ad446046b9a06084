//! valkey-glide's client for clusters, set up [as the other one](super::glide).

use anyhow::Result;
use bytes::Bytes;
use glide::{
    AsyncCommands, GlideClusterClient, GlideClusterClientConfiguration, PipelineExt, ValkeyValue,
    cmd, pipe,
};

use super::{
    Peer, expect,
    glide::{IN_FLIGHT, REPLY_WITHIN, keep_log_out},
};
use crate::address::Address;

#[derive(Clone)]
pub struct GlideCluster(GlideClusterClient);

impl Peer for GlideCluster {
    type Reply = Bytes;

    async fn connect(address: &Address) -> Result<Self> {
        keep_log_out();
        let config = GlideClusterClientConfiguration::from_urls(address.node_urls())?
            .request_timeout(REPLY_WITHIN)
            .inflight_requests_limit(IN_FLIGHT);
        Ok(Self(GlideClusterClient::connect(config).await?))
    }

    async fn get(&mut self, key: &str) -> Result<Bytes> {
        Ok(self.0.get(key).await?)
    }

    async fn set(&mut self, key: &str, value: &Bytes) -> Result<()> {
        let reply: ValkeyValue = self.0.set(key, &value[..]).await?;
        expect(ValkeyValue::Okay, reply)
    }

    async fn incr(&mut self, key: &str) -> Result<i64> {
        // `AsyncCommands::incr` sends INCRBY, and the other clients INCR.
        Ok(cmd("INCR").arg(key).query_async(&self.0).await?)
    }

    async fn pipeline(&mut self, keys: &[String]) -> Result<Vec<Bytes>> {
        let mut gets = pipe();
        for key in keys {
            gets.cmd("GET").arg(key);
        }
        Ok(gets.query_async(&self.0).await?)
    }

    async fn mget(&mut self, keys: &[String]) -> Result<Vec<Bytes>> {
        Ok(cmd("MGET").arg(keys).query_async(&self.0).await?)
    }
}
