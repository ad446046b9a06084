//! bb8-redis: a pool that lends out a connection for each call. The PING on each is switched off,
//! and `TCP_NODELAY` on. It offers no other setting of its redis-rs connections.

use anyhow::Result;
use bb8_redis::{
    RedisConnectionManager,
    bb8::{Pool, PooledConnection},
};
use bytes::Bytes;

use super::{POOL, Peer, commands, redis_rs};
use crate::address::Address;

#[derive(Clone)]
pub struct Bb8(Pool<RedisConnectionManager>);

impl Bb8 {
    async fn connection(&self) -> Result<PooledConnection<'_, RedisConnectionManager>> {
        Ok(self.0.get().await?)
    }
}

impl Peer for Bb8 {
    type Reply = Vec<u8>;

    async fn connect(address: &Address) -> Result<Self> {
        let manager = RedisConnectionManager::new(redis_rs::connection_info(address)?)?;
        let pool = Pool::builder()
            .max_size(POOL as u32)
            .min_idle(POOL as u32)
            .test_on_check_out(false)
            .build(manager)
            .await?;
        Ok(Self(pool))
    }

    async fn get(&mut self, key: &str) -> Result<Vec<u8>> {
        commands::get(&mut *self.connection().await?, key).await
    }

    async fn set(&mut self, key: &str, value: &Bytes) -> Result<()> {
        commands::set(&mut *self.connection().await?, key, value).await
    }

    async fn incr(&mut self, key: &str) -> Result<i64> {
        commands::incr(&mut *self.connection().await?, key).await
    }

    async fn pipeline(&mut self, keys: &[String]) -> Result<Vec<Vec<u8>>> {
        commands::pipeline(&mut *self.connection().await?, keys).await
    }
}
