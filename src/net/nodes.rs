//! The nodes of clusters, for dials that may lead to any of them.

use std::sync::{Arc, Mutex, PoisonError};

use crate::config::{Address, ClusterSeeds};

/// The known nodes of each cluster, and which of them is dialled next.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    clusters: Mutex<Vec<Known>>,
}

#[derive(Debug)]
struct Known {
    seeds: Arc<ClusterSeeds>,
    /// Those that the cluster has told, and after them the seeds that are none of them.
    addresses: Vec<Address>,
    next: usize,
    /// All nodes that the cluster has told, replicas included; none before it has told any.
    members: Vec<Address>,
}

impl Nodes {
    /// These are the nodes of a cluster from now on. Dials lead to the primaries, and to seeds if need be. Tells whether there
    /// are other nodes than before.
    pub(crate) fn learn(
        &self,
        seeds: &Arc<ClusterSeeds>,
        nodes: &[Address],
        replicas: impl IntoIterator<Item = Address>,
    ) -> bool {
        self.with(seeds, |known| {
            let members: Vec<_> = nodes.iter().cloned().chain(replicas).collect();
            let has_changed = members != known.members;
            known.members = members;
            let before = known.addresses.get(known.next).cloned();
            let others = seeds.seeds.iter().filter(|seed| !nodes.contains(seed));
            known.addresses = nodes.iter().chain(others).cloned().collect();
            let at = |before: Address| nodes.iter().position(|node| *node == before);
            // Otherwise all clients would have their connections to the same one.
            let random = || fastrand::usize(..nodes.len().max(1));
            known.next = before.and_then(at).unwrap_or_else(random);
            has_changed
        })
    }

    /// Whether a node is one of the cluster, as far as is known. A seed counts as well while dials to those that the cluster
    /// tells have failed, which may be addresses that cannot be reached from here.
    pub(super) fn is_member(&self, seeds: &Arc<ClusterSeeds>, address: &Address) -> bool {
        self.with(seeds, |known| {
            known.members.is_empty()
                || known.members.contains(address)
                || known.addresses.get(known.next) == Some(address)
        })
    }

    /// The node to dial now.
    pub(super) fn present(&self, seeds: &Arc<ClusterSeeds>) -> Address {
        self.with(seeds, |known| known.addresses[known.next].clone())
    }

    /// How many there are to be tried in turn.
    pub(super) fn count(&self, seeds: &Arc<ClusterSeeds>) -> usize {
        self.with(seeds, |known| known.addresses.len())
    }

    /// The next dial leads to another one than this.
    pub(super) fn doubt(&self, seeds: &Arc<ClusterSeeds>, address: &Address) {
        self.with(seeds, |known| {
            if known.addresses[known.next] == *address {
                known.next = (known.next + 1) % known.addresses.len();
            }
        });
    }

    /// Forgets the clusters that are none of these.
    pub(crate) fn retain(&self, is_present: impl Fn(&Arc<ClusterSeeds>) -> bool) {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        clusters.retain(|known| is_present(&known.seeds));
    }

    fn with<T>(&self, seeds: &Arc<ClusterSeeds>, look: impl FnOnce(&mut Known) -> T) -> T {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let at = clusters.iter().position(|known| known.seeds == *seeds);
        let at = at.unwrap_or_else(|| {
            clusters.push(Known {
                seeds: seeds.clone(),
                addresses: seeds.seeds.clone(),
                next: 0,
                members: Vec::new(),
            });
            clusters.len() - 1
        });
        look(&mut clusters[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Address {
        Address::of_host("h", port).expect("an address")
    }

    #[test]
    fn all_are_tried_in_turn_and_seeds_stay() {
        let nodes = Nodes::default();
        let seeds = Arc::new(ClusterSeeds {
            seeds: vec![address(1), address(2)],
        });
        assert_eq!(nodes.present(&seeds), address(1));
        nodes.doubt(&seeds, &address(2));
        assert_eq!(nodes.present(&seeds), address(1), "another one failed");
        nodes.doubt(&seeds, &address(1));
        assert_eq!(nodes.present(&seeds), address(2));

        assert!(nodes.is_member(&seeds, &address(9)), "none is known yet");
        assert!(nodes.learn(&seeds, &[address(3), address(2)], [address(4)]));
        assert!(!nodes.learn(&seeds, &[address(3), address(2)], [address(4)]));
        assert!(nodes.is_member(&seeds, &address(4)));
        assert!(
            !nodes.is_member(&seeds, &address(1)),
            "a seed that is no node"
        );
        nodes.doubt(&seeds, &address(2));
        assert!(
            nodes.is_member(&seeds, &address(1)),
            "no other can be reached"
        );
        nodes.doubt(&seeds, &address(1));
        nodes.doubt(&seeds, &address(3));
        assert_eq!(nodes.count(&seeds), 3);
        assert_eq!(nodes.present(&seeds), address(2), "it stays");
        let mut seen = vec![];
        for _ in 0..3 {
            let present = nodes.present(&seeds);
            nodes.doubt(&seeds, &present);
            seen.push(present);
        }
        assert_eq!(seen, [address(2), address(1), address(3)]);
        nodes.learn(&seeds, &[], []);
        assert_eq!(nodes.count(&seeds), 2);
        assert!(seeds.seeds.contains(&nodes.present(&seeds)));
    }
}
