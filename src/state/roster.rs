//! The names of the databases that there are.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;

use crate::identity::DatabaseId;

/// The present names, also for the errors of databases that are none of them any more.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    entries: ArcSwap<Entries>,
    last_number: AtomicU64,
}

#[derive(Debug, Default)]
struct Entries {
    names: Vec<Arc<str>>,
    /// Further names, with those of their databases.
    aliases: HashMap<Arc<str>, Arc<str>>,
    /// The database that stands in for unknown names.
    default: Option<Arc<str>>,
}

impl Roster {
    /// The names, sorted, without aliases.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.entries.load().names.clone()
    }

    /// The name of the database that an alias leads to.
    pub(crate) fn aliased(&self, alias: &str) -> Option<Arc<str>> {
        self.entries.load().aliases.get(alias).cloned()
    }

    /// The name of the database that stands in for unknown names; it may be an alias.
    pub(crate) fn default(&self) -> Option<Arc<str>> {
        self.entries.load().default.clone()
    }

    pub(crate) fn publish(
        &self,
        names: impl Iterator<Item = Arc<str>>,
        aliases: &[(Arc<str>, Arc<str>)],
        default: Option<Arc<str>>,
    ) {
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        let entries = Entries {
            names,
            aliases: aliases.iter().cloned().collect(),
            default,
        };
        self.entries.store(Arc::new(entries));
    }

    /// The identity of another database.
    pub(super) fn identify(&self, name: Arc<str>) -> DatabaseId {
        DatabaseId::new(name, self.last_number.fetch_add(1, Relaxed))
    }
}
