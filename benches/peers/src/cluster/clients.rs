//! The clients that do not take the cluster's URL.
//!
//! All are set as [under faults](crate::faults::clients), and told of all nodes:
//!
//! - redis-steward, and rustis: the URL of the cluster.
//! - fred: its configuration for clusters.
//! - redis-rs: its client for clusters. No bound on a call, and up to 16 further attempts at it, with waits that grow.
//! - redis-tower: its multiplexed client for clusters, which is told of one node, and reconnects by default.
//! - valkey-glide: its client for clusters.

use anyhow::Result;
use fred::types::config::{Config, ServerConfig};
use glide::{GlideClusterClient, GlideClusterClientConfiguration};
use redis::{cluster::ClusterClient, cluster_async::ClusterConnection, io::tcp::TcpSettings};
use redis_tower::commands::Incr;
use redis_tower_cluster::MultiplexedClusterClient;

use crate::{
    address::Address,
    faults::{
        client::{Client, Failure},
        clients::{Fred, incr, reconnecting},
    },
    peer::keep_log_out,
};

pub async fn fred(address: &Address) -> Result<Fred> {
    let nodes = address.nodes.iter().flat_map(|nodes| nodes.iter());
    let nodes = nodes.map(|&port| ("127.0.0.1", port)).collect();
    let config = Config {
        server: ServerConfig::new_clustered(nodes),
        ..Config::default()
    };
    reconnecting(config).await
}

pub async fn redis_rs(address: &Address) -> Result<ClusterConnection> {
    let nodelay = TcpSettings::default().set_nodelay(true);
    let builder = ClusterClient::builder(address.node_urls()).tcp_settings(nodelay);
    Ok(builder.build()?.get_async_connection().await?)
}

pub async fn tower(address: &Address) -> Result<MultiplexedClusterClient> {
    let seed = format!("127.0.0.1:{}", address.port);
    Ok(MultiplexedClusterClient::connect(&seed).await?)
}

pub async fn glide(address: &Address) -> Result<GlideClusterClient> {
    keep_log_out();
    let config = GlideClusterClientConfiguration::from_urls(address.node_urls())?;
    Ok(GlideClusterClient::connect(config).await?)
}

impl Client for ClusterConnection {
    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        Ok(incr(&mut self.clone(), key).await?)
    }
}

impl Client for MultiplexedClusterClient {
    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        Ok(self.execute(Incr::new(key)).await?)
    }

    async fn disconnect(self) {
        self.shutdown().await;
    }
}

impl Client for GlideClusterClient {
    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        Ok(glide::cmd("INCR").arg(key).query_async(self).await?)
    }
}
