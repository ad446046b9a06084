//! redis-tower: its multiplexed client, which batches the commands of several tasks on one
//! connection, without bounds on waiting. `TCP_NODELAY` is a default. Set: over TLS, the authority.
//!
//! Replies are `Bytes`, and values are handed over as `Bytes` without a copy.

use anyhow::Result;
use bytes::Bytes;
use redis_tower::{
    MultiplexedClient, Pipeline, TlsConfig,
    commands::{Get, Incr, Set, SetStatus},
};

use super::{Peer, expect};
use crate::address::Address;

#[derive(Clone)]
pub struct Tower(MultiplexedClient);

/// The commands of redis-tower's clients, which have no trait of their own in common.
macro_rules! tower_commands {
    () => {
        async fn get(&mut self, key: &str) -> Result<Value> {
            Ok(Value(self.0.execute(Get::new(key)).await?))
        }

        async fn set(&mut self, key: &str, value: &Bytes) -> Result<()> {
            // Without the outcome it does not look at what the reply says.
            let command = Set::new(key, value).with_outcome();
            let outcome = self.0.execute(command).await?;
            expect(SetStatus::Applied, outcome.status)
        }

        async fn incr(&mut self, key: &str) -> Result<i64> {
            Ok(self.0.execute(Incr::new(key)).await?)
        }
    };
}
pub(super) use tower_commands;

/// A value, or none.
pub struct Value(pub(super) Option<Bytes>);

impl Peer for Tower {
    type Reply = Value;

    async fn connect(address: &Address) -> Result<Self> {
        let url = address.url();
        let client = match &address.authority {
            None => MultiplexedClient::connect_url(&url).await?,
            Some(authority) => {
                let tls = TlsConfig::from_rustls_config(authority.client().into());
                MultiplexedClient::connect_url_with_tls(&url, &tls).await?
            }
        };
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

/// None is empty, which no value of the bench is.
impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}
