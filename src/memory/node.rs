//! What a node of a cluster has that another server lacks.

/// Names of 40 hexadecimal digits each.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) shard_id: String,
}

impl Node {
    pub(super) fn new(random: &mut fastrand::Rng) -> Self {
        let mut name = || (0..40).map(|_| random.digit(16)).collect();
        Self {
            id: name(),
            shard_id: name(),
        }
    }
}
