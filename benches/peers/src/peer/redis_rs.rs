//! redis-rs: its multiplexed connection, and the connection manager that also reconnects.
//!
//! Set on both, and on the pools of redis-rs connections where they let one: `TCP_NODELAY`, which
//! is off by default; no response timeout, instead of the default of 500 ms, which saves a timer
//! for each call; a queue for every call that this bench has outstanding, and a write buffer of
//! 64 KiB, as the documentation suggests for high concurrency (the defaults are 50 and 8 KiB).

use anyhow::Result;
use bytes::Bytes;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
};

use super::{Peer, commands};

const QUEUE: usize = 1024;
const WRITE_BUFFER: usize = 64 * 1024;

#[derive(Clone)]
pub struct Multiplexed(MultiplexedConnection);

#[derive(Clone)]
pub struct Manager(ConnectionManager);

/// The address with the socket's settings.
pub(super) fn address(url: &str) -> Result<ConnectionInfo> {
    let address = url.into_connection_info()?;
    let tcp = address.tcp_settings().clone().set_nodelay(true);
    Ok(address.set_tcp_settings(tcp))
}

pub(super) fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_pipeline_buffer_size(QUEUE)
        .set_write_backpressure_boundary(WRITE_BUFFER)
}

impl Peer for Multiplexed {
    type Reply = Vec<u8>;

    async fn connect(url: &str) -> Result<Self> {
        let client = Client::open(address(url)?)?;
        let config = config();
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        Ok(Self(connection.await?))
    }

    async fn get(&mut self, key: &str) -> Result<Vec<u8>> {
        commands::get(&mut self.0, key).await
    }

    async fn set(&mut self, key: &str, value: &Bytes) -> Result<()> {
        commands::set(&mut self.0, key, value).await
    }

    async fn incr(&mut self, key: &str) -> Result<i64> {
        commands::incr(&mut self.0, key).await
    }

    async fn pipeline(&mut self, keys: &[String]) -> Result<Vec<Vec<u8>>> {
        commands::pipeline(&mut self.0, keys).await
    }
}

impl Peer for Manager {
    type Reply = Vec<u8>;

    async fn connect(url: &str) -> Result<Self> {
        let client = Client::open(address(url)?)?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE)
            .set_write_backpressure_boundary(WRITE_BUFFER);
        let connection = client.get_connection_manager_with_config(config);
        Ok(Self(connection.await?))
    }

    async fn get(&mut self, key: &str) -> Result<Vec<u8>> {
        commands::get(&mut self.0, key).await
    }

    async fn set(&mut self, key: &str, value: &Bytes) -> Result<()> {
        commands::set(&mut self.0, key, value).await
    }

    async fn incr(&mut self, key: &str) -> Result<i64> {
        commands::incr(&mut self.0, key).await
    }

    async fn pipeline(&mut self, keys: &[String]) -> Result<Vec<Vec<u8>>> {
        commands::pipeline(&mut self.0, keys).await
    }
}
