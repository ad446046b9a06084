//! A database that is a cluster.

use redis_steward::DatabaseConfig;

use crate::{
    common::{
        FaultProxy, RedisServer,
        cluster::{Cluster, ClusterBuilder},
    },
    single::{SURVIVES_SIGKILL, lose_replies},
    site::CANARY,
};

pub(crate) struct Sharded {
    pub(crate) cluster: Cluster,
    /// One for each node, or none.
    proxies: Vec<FaultProxy>,
    config: DatabaseConfig,
}

impl Sharded {
    /// No acknowledged write is lost: those of a killed node are in its file, and a replica takes over only where a fault
    /// permits it, after it has got them all.
    pub(super) fn direct() -> Self {
        let builder = Cluster::builder(3, 1)
            .requirepass(CANARY)
            .arg("cluster-replica-no-failover", "yes")
            // While a shard is down, the others serve.
            .arg("cluster-require-full-coverage", "no");
        let with_argument = |builder: ClusterBuilder, (key, value)| builder.arg(key, value);
        let cluster = SURVIVES_SIGKILL.into_iter().fold(builder, with_argument);
        let cluster = cluster.start();
        Self {
            config: DatabaseConfig::from_url(cluster.url()),
            cluster,
            proxies: Vec::new(),
        }
    }

    pub(super) fn proxied() -> Self {
        let cluster = Cluster::start(2, 0);
        let (proxies, config) = cluster.behind_proxies();
        Self {
            cluster,
            proxies,
            config,
        }
    }

    pub(super) fn config(&self) -> DatabaseConfig {
        self.config.clone()
    }

    pub(super) fn servers(&self) -> Vec<(u16, &RedisServer)> {
        let server = |node| {
            let server = self.cluster.node(node);
            let proxied = self.proxies.get(node).map(FaultProxy::port);
            (proxied.unwrap_or_else(|| server.port()), server)
        };
        (0..self.cluster.len()).map(server).collect()
    }

    pub(super) fn lose_replies_of(&self, command: &str) {
        lose_replies(&self.proxies[0], self.cluster.node(0), command);
    }
}
