//! A [`Cluster`] that is reached through proxies.

use redis_steward::DatabaseConfig;

use super::{Cluster, FaultProxy};

impl Cluster {
    /// A proxy in front of each node, and a database whose connections lead there alone. It has no password.
    pub fn behind_proxies(&self) -> (Vec<FaultProxy>, DatabaseConfig) {
        let nodes = (0..self.len()).map(|node| self.node(node).port());
        let proxies: Vec<_> = nodes.clone().map(FaultProxy::start).collect();
        let pairs = nodes.zip(&proxies);
        let pairs =
            pairs.map(|(port, proxy)| format!("127.0.0.1:{port}=localhost:{}", proxy.port()));
        let pairs: Vec<_> = pairs.collect();
        let seed = format!("localhost:{}", proxies[0].port());
        let main = DatabaseConfig::cluster([seed]).cluster_addresses(pairs.join(","));
        (proxies, main)
    }
}
