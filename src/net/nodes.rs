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
}

impl Nodes {
    /// These are the nodes of a cluster from now on. A dial prefers those that come first.
    pub(crate) fn learn(&self, seeds: &Arc<ClusterSeeds>, nodes: &[Address]) {
        self.with(seeds, |known| {
            let before = known.addresses.get(known.next).cloned();
            let others = seeds.seeds.iter().filter(|seed| !nodes.contains(seed));
            known.addresses = nodes.iter().chain(others).cloned().collect();
            let at = |before: Address| nodes.iter().position(|node| *node == before);
            // Otherwise all clients would have their connections to the same one.
            let random = || fastrand::usize(..nodes.len().max(1));
            known.next = before.and_then(at).unwrap_or_else(random);
        });
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

        nodes.learn(&seeds, &[address(3), address(2)]);
        assert_eq!(nodes.count(&seeds), 3);
        assert_eq!(nodes.present(&seeds), address(2), "it stays");
        let mut seen = vec![];
        for _ in 0..3 {
            let present = nodes.present(&seeds);
            nodes.doubt(&seeds, &present);
            seen.push(present);
        }
        assert_eq!(seen, [address(2), address(1), address(3)]);
        nodes.learn(&seeds, &[]);
        assert_eq!(nodes.count(&seeds), 2);
        assert!(seeds.seeds.contains(&nodes.present(&seeds)));
    }
}
