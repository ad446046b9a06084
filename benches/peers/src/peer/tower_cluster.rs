//! redis-tower's multiplexed client for clusters, which batches the commands of several tasks on one connection to each
//! node. Nothing is set. It learns the cluster from one node.

use anyhow::Result;
use bytes::Bytes;
use redis_tower::commands::{Get, Incr, Set, SetStatus};
use redis_tower_cluster::{ClusterPipeline, MultiplexedClusterClient};

use super::{
    Peer, expect,
    tower::{Value, tower_commands},
};
use crate::address::Address;

#[derive(Clone)]
pub struct TowerCluster(MultiplexedClusterClient);

impl Peer for TowerCluster {
    type Reply = Value;

    async fn connect(address: &Address) -> Result<Self> {
        let seed = format!("127.0.0.1:{}", address.port);
        Ok(Self(MultiplexedClusterClient::connect(&seed).await?))
    }

    tower_commands!();

    async fn pipeline(&mut self, keys: &[String]) -> Result<Vec<Value>> {
        let mut pipeline = ClusterPipeline::new();
        for key in keys {
            pipeline = pipeline.push(Get::new(key.as_str()));
        }
        let replies = pipeline.execute(&self.0).await?;
        let values = replies.into_typed_vec::<Option<Bytes>>()?;
        Ok(values.into_iter().map(Value).collect())
    }

    async fn mget(&mut self, keys: &[String]) -> Result<Vec<Value>> {
        let values = self.0.mget_split(keys).await?;
        Ok(values.into_iter().map(Value).collect())
    }

    async fn disconnect(self) -> Result<()> {
        self.0.shutdown().await;
        Ok(())
    }
}
