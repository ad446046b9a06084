//! Redis Cluster. Each test starts the nodes that it needs.

#[path = "../common/mod.rs"]
mod common;

mod channels;
mod commands;
mod failing;
mod fixture;
mod load;
mod moving;
mod nearest;
mod one_node;
mod order;
mod parts;
mod pipelines;
mod places;
mod replicas;
mod scans;

use redis_steward::{Database, DatabaseConfig, Supervisor};

use crate::common::{cluster::Cluster, steward::spawn};

/// A cluster, and a supervisor with it as its one database, "main".
struct Rig {
    cluster: Cluster,
    supervisor: Supervisor,
    main: Database,
}

impl Rig {
    async fn start(primaries: usize, replicas: usize) -> Self {
        Self::with(Cluster::start(primaries, replicas), |main| main).await
    }

    async fn with(cluster: Cluster, adjust: impl FnOnce(DatabaseConfig) -> DatabaseConfig) -> Self {
        let main = DatabaseConfig::from_url(cluster.url());
        let (supervisor, main) = spawn(adjust(main)).await;
        Self {
            cluster,
            supervisor,
            main,
        }
    }
}

/// A key that this primary has.
fn key_of(cluster: &Cluster, node: usize) -> String {
    let mut keys = (0..).map(|n| format!("key:{n}"));
    let is_its = |key: &String| cluster.primary_of(cluster.slot_of(key)) == node;
    keys.find(is_its).expect("it is endless")
}
