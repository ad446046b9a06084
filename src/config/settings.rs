//! The sealed result of checking a configuration. Everything past `resolve` reads this, and may
//! rely on it.

use std::{sync::Arc, time::Duration};

use super::{Io, fields::DatabaseSettings};

/// The longest deadline, grace or interval, a year: an endless one would overflow the clock.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// At least one database, with distinct names, in the order in which they were given.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) databases: Vec<Arc<DatabaseSettings>>,
    /// Further names, each with the name of its database.
    pub(crate) aliases: Vec<(Arc<str>, Arc<str>)>,
    /// The database that stands in for unknown names.
    pub(crate) default_database: Option<Arc<str>>,
    pub(crate) io: Io,
}
