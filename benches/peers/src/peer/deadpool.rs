//! deadpool-redis: a pool that lends out a connection for each call, after a PING on it, which
//! cannot be switched off. Its connections are set up as redis-rs is.

use anyhow::Result;
use bytes::Bytes;
use deadpool_redis::{Connection, Manager, Pool, Runtime};

use super::{POOL, Peer, commands, redis_rs};
use crate::address::Address;

#[derive(Clone)]
pub struct Deadpool(Pool);

impl Deadpool {
    async fn connection(&self) -> Result<Connection> {
        Ok(self.0.get().await?)
    }
}

impl Peer for Deadpool {
    type Reply = Vec<u8>;

    async fn connect(address: &Address) -> Result<Self> {
        let manager =
            Manager::new_with_config(redis_rs::connection_info(address)?, redis_rs::config())?;
        let pool = Pool::builder(manager)
            .max_size(POOL)
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Self(pool))
    }

    async fn get(&mut self, key: &str) -> Result<Vec<u8>> {
        commands::get(&mut self.connection().await?, key).await
    }

    async fn set(&mut self, key: &str, value: &Bytes) -> Result<()> {
        commands::set(&mut self.connection().await?, key, value).await
    }

    async fn incr(&mut self, key: &str) -> Result<i64> {
        commands::incr(&mut self.connection().await?, key).await
    }

    async fn pipeline(&mut self, keys: &[String]) -> Result<Vec<Vec<u8>>> {
        commands::pipeline(&mut self.connection().await?, keys).await
    }

    async fn disconnect(self) -> Result<()> {
        self.0.close();
        Ok(())
    }
}
