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
use tracing_subscriber::filter::LevelFilter;

use super::{Peer, expect};
use crate::address::Address;

pub(super) const IN_FLIGHT: u32 = 4096;
pub(super) const REPLY_WITHIN: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub struct Glide(GlideClient);

/// Its log takes the place of the subscriber of `tracing` for the whole process, and asks for the spans of everything whose
/// name begins with `redis`. Beside it redis-steward has half of its throughput, because it then opens a span for each call.
/// The first subscriber stays, so this one comes before it, and wants nothing.
pub fn keep_log_out() {
    let nothing = tracing_subscriber::fmt().with_max_level(LevelFilter::OFF);
    // An error: there is one already, such as that of the observed redis-steward.
    let _ = nothing.try_init();
}

impl Peer for Glide {
    type Reply = Bytes;

    async fn connect(address: &Address) -> Result<Self> {
        keep_log_out();
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

#[cfg(test)]
mod tests {
    use tracing::{Level, enabled};

    use super::*;
    use crate::{program::Programs, runtime::Flavour, server::Server};

    #[test]
    fn its_log_asks_for_no_spans_of_others() {
        let server = Server::start(&Programs::default()).expect("a server");
        let value = Flavour::CurrentThread.block_on(async {
            let mut client = Glide::connect(&server.address()).await?;
            client.incr("counter").await
        });
        assert_eq!(value.expect("a reply"), 1);
        assert!(!enabled!(target: "redis_steward::command", Level::DEBUG));
    }
}
