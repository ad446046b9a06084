//! The clients that do not take the service's URL.
//!
//! All are set as [under faults](crate::faults::clients), and told of all three sentinels:
//!
//! - redis-steward, and rustis: the URL of the service.
//! - fred: its configuration for Sentinel.
//! - redis-rs: its client for Sentinel, which is asked for a connection again after each call that failed, since it finds
//!   out where the primary is only when it is asked.

use std::sync::Arc;

use anyhow::Result;
use fred::types::config::{Config, ServerConfig};
use redis::{
    aio::MultiplexedConnection,
    io::tcp::TcpSettings,
    sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType},
};
use tokio::sync::Mutex;

use super::service::{SERVICE, Service};
use crate::{
    faults::{
        client::{Client, Failure},
        clients::{Fred, incr, reconnecting},
    },
    peer::with_nodelay,
};

pub async fn fred(service: &Service) -> Result<Fred> {
    let sentinels = service.ports().map(|port| ("127.0.0.1", port)).collect();
    let config = Config {
        server: ServerConfig::new_sentinel(sentinels, SERVICE),
        ..Config::default()
    };
    reconnecting(config).await
}

pub async fn redis_rs(service: &Service) -> Result<RedisRs> {
    let urls = service
        .ports()
        .map(|port| with_nodelay(format!("redis://127.0.0.1:{port}")));
    let nodelay = TcpSettings::default().set_nodelay(true);
    let server = SentinelNodeConnectionInfo::default().set_tcp_settings(nodelay);
    let client = SentinelClient::build(
        urls.collect::<Result<_>>()?,
        SERVICE,
        Some(server),
        SentinelServerType::Master,
    )?;
    let held = Held {
        client,
        connection: None,
        number: 0,
    };
    let client = RedisRs(Arc::new(Mutex::new(held)));
    client.connection().await?;
    Ok(client)
}

#[derive(Clone)]
pub struct RedisRs(Arc<Mutex<Held>>);

pub struct Held {
    client: SentinelClient,
    connection: Option<MultiplexedConnection>,
    /// Of the connection, so that a call that failed gives up no later one.
    number: u64,
}

impl RedisRs {
    async fn connection(&self) -> Result<(MultiplexedConnection, u64), redis::RedisError> {
        let mut held = self.0.lock().await;
        let connection = match &held.connection {
            Some(connection) => connection.clone(),
            None => {
                let connection = held.client.get_async_connection().await?;
                held.number += 1;
                held.connection.insert(connection).clone()
            }
        };
        Ok((connection, held.number))
    }

    async fn give_up(&self, number: u64) {
        let mut held = self.0.lock().await;
        if held.number == number {
            held.connection = None;
        }
    }
}

impl Client for RedisRs {
    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        let (mut connection, number) = self.connection().await?;
        let reply = incr(&mut connection, key).await;
        if reply.is_err() {
            self.give_up(number).await;
        }
        Ok(reply?)
    }
}
