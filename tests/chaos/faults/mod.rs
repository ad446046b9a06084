//! The faults, by what they hit. Duplicated replies are excluded: the protocol cannot tell a reply from its copy.

mod cluster;
mod server;

use fastrand::Rng;
use redis_steward::Supervisor;

use self::{cluster::ClusterFault, server::ServerFault};
use crate::site::{Place, Site};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    OfServer(ServerFault),
    OfCluster(ClusterFault),
}

impl Fault {
    /// Those that may hit this database.
    pub(crate) fn all(site: &Site) -> Vec<Self> {
        match &site.place {
            Place::Server(single) => {
                let all = ServerFault::all(single).into_iter();
                all.map(Self::OfServer).collect()
            }
            Place::Cluster(_) => ClusterFault::ALL.map(Self::OfCluster).to_vec(),
        }
    }

    /// Injects the fault, waits, and heals it before returning.
    pub(crate) fn strike(self, site: &Site, supervisor: &Supervisor, random: &mut Rng) {
        match (self, &site.place) {
            (Self::OfServer(fault), Place::Server(single)) => fault.strike(single, random),
            (Self::OfCluster(fault), Place::Cluster(sharded)) => {
                let is_node = |port: u16| {
                    let databases = supervisor.statistics().databases;
                    let node = databases.get(&site.node_name(port));
                    node.is_some_and(|stats| stats.node_of.is_some())
                };
                fault.strike(&sharded.cluster, is_node, random);
            }
            (fault, _) => panic!("BUG: {fault:?} does not hit {}", site.name),
        }
    }
}
