//! valkey-glide: one client, with one connection that all tasks share. `TCP_NODELAY` is a default.
//!
//! Set: a bound on calls in flight above what this bench has outstanding (default 1000, and calls
//! above it fail), and 10 s for a reply instead of 250 ms, so that a busy machine fails no turn. The
//! timeout cannot be left out, so each call has a timer. Replies are `Bytes`. Over TLS, the authority.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use glide::{
    AsyncCommands, GlideClient, GlideClientConfiguration, PipelineExt, ValkeyValue, cmd, pipe,
};

use super::{Peer, expect};
use crate::address::Address;

const IN_FLIGHT: u32 = 4096;
const REPLY_WITHIN: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub struct Glide(GlideClient);

impl Peer for Glide {
    type Reply = Bytes;

    async fn connect(address: &Address) -> Result<Self> {
        let mut config = GlideClientConfiguration::from_url(address.url())?
            .request_timeout(REPLY_WITHIN)
            .inflight_requests_limit(IN_FLIGHT);
        if let Some(authority) = &address.authority {
            config = config.tls_ca_cert(authority.pem());
        }
        Ok(Self(GlideClient::connect(config).await?))
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
}
