//! redis-rs: its multiplexed connection, the connection manager that also reconnects, and its client for clusters.
//!
//! Set on both, and on the pools of redis-rs connections where they let one: `TCP_NODELAY`, which
//! is off by default; no response timeout, instead of the default of 500 ms, which saves a timer
//! for each call; a queue for every call that this bench has outstanding, and a write buffer of
//! 64 KiB, as the documentation suggests for high concurrency (the defaults are 50 and 8 KiB). Over TLS, the authority.
//! Through a near cache it is RESP3, which that needs, and room for [`NEAR_KEYS`] keys; all commands that can be are cached by
//! default. At a cluster it is `TCP_NODELAY` and the write buffer; there is no response timeout by default.

use std::{future::Future, num::NonZeroUsize};

use anyhow::Result;
use bytes::Bytes;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    TlsCertificates,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
    caching::CacheConfig,
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    io::tcp::TcpSettings,
};

use super::{NEAR_KEYS, Peer, commands};
use crate::address::Address;

const QUEUE: usize = 1024;
const WRITE_BUFFER: usize = 64 * 1024;

pub type Multiplexed = RedisRs<MultiplexedConnection>;
pub type Manager = RedisRs<ConnectionManager>;
pub type Cluster = RedisRs<ClusterConnection>;

/// One connection, of which each caller has a clone.
#[derive(Clone)]
pub struct RedisRs<C>(C);

pub trait Connect: ConnectionLike + Clone + Send + Sync + 'static {
    fn connect(address: &Address) -> impl Future<Output = Result<Self>>;
}

/// An address with the socket's settings.
pub fn with_nodelay(address: impl IntoConnectionInfo) -> Result<ConnectionInfo> {
    let info = address.into_connection_info()?;
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    Ok(info.set_tcp_settings(tcp))
}

/// Of an address, with all that is set for it.
pub fn connection_info(address: &Address) -> Result<ConnectionInfo> {
    let mut info = with_nodelay(address.url())?;
    if address.is_near {
        let settings = info.redis_settings().clone();
        info = info.set_redis_settings(settings.set_protocol(ProtocolVersion::RESP3));
    }
    let Some(authority) = &address.authority else {
        return Ok(info);
    };
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: Some(authority.pem().into()),
    };
    // The pools take no certificates, but what the client has made of them.
    let client = Client::build_with_tls(info, certificates)?;
    Ok(client.get_connection_info().clone())
}

pub(super) fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_pipeline_buffer_size(QUEUE)
        .set_write_backpressure_boundary(WRITE_BUFFER)
}

fn cache() -> CacheConfig {
    let room = NonZeroUsize::new(NEAR_KEYS).expect("BUG: there is room");
    CacheConfig::new().set_size(room)
}

impl Connect for MultiplexedConnection {
    async fn connect(address: &Address) -> Result<Self> {
        let (client, mut config) = (Client::open(connection_info(address)?)?, config());
        if address.is_near {
            config = config.set_cache_config(cache());
        }
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        Ok(connection.await?)
    }
}

impl Connect for ConnectionManager {
    async fn connect(address: &Address) -> Result<Self> {
        let client = Client::open(connection_info(address)?)?;
        let mut config = ConnectionManagerConfig::new()
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE)
            .set_write_backpressure_boundary(WRITE_BUFFER);
        if address.is_near {
            config = config.set_cache_config(cache());
        }
        Ok(client.get_connection_manager_with_config(config).await?)
    }
}

impl Connect for ClusterConnection {
    async fn connect(address: &Address) -> Result<Self> {
        let builder = ClusterClient::builder(address.node_urls())
            .tcp_settings(TcpSettings::default().set_nodelay(true))
            .write_backpressure_boundary(WRITE_BUFFER);
        Ok(builder.build()?.get_async_connection().await?)
    }
}

impl<C: Connect> Peer for RedisRs<C> {
    type Reply = Vec<u8>;

    async fn connect(address: &Address) -> Result<Self> {
        Ok(Self(C::connect(address).await?))
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

    async fn mget(&mut self, keys: &[String]) -> Result<Vec<Vec<u8>>> {
        commands::mget(&mut self.0, keys).await
    }
}
