//! The names of the databases that there are.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use arc_swap::ArcSwap;

use crate::identity::DatabaseId;

/// The present names, for the errors of databases that are none of them any more.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    names: ArcSwap<Vec<Arc<str>>>,
    last_number: AtomicU64,
}

impl Roster {
    /// The names, sorted.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.names.load().to_vec()
    }

    pub(crate) fn publish(&self, names: impl Iterator<Item = Arc<str>>) {
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        self.names.store(names.into());
    }

    /// The identity of another database.
    pub(super) fn identify(&self, name: Arc<str>) -> DatabaseId {
        DatabaseId::new(name, self.last_number.fetch_add(1, Relaxed))
    }
}
