//! The identity of a database within a supervisor.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// A name may be given to another database once the first one is removed, and messages about both may be under
/// way. So each database has a number that no other one has.
#[derive(Clone)]
pub(crate) struct DatabaseId {
    name: Arc<str>,
    number: u64,
}

impl DatabaseId {
    pub(crate) fn new(name: Arc<str>, number: u64) -> Self {
        Self { name, number }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }
}

impl PartialEq for DatabaseId {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for DatabaseId {}

impl PartialOrd for DatabaseId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DatabaseId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.number.cmp(&other.number)
    }
}

impl Hash for DatabaseId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

/// What a database is of another one. No configuration names such a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PartOf {
    /// A replica, which serves reads.
    Replicas(DatabaseId),
    /// A node of a cluster.
    Nodes(DatabaseId),
}

impl PartOf {
    /// The database that the configuration names.
    pub(crate) fn whole(&self) -> &DatabaseId {
        match self {
            Self::Replicas(whole) | Self::Nodes(whole) => whole,
        }
    }
}

/// The name alone, for logs.
impl fmt::Debug for DatabaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}
