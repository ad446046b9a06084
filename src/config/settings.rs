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
    pub(crate) io: Io,
}

impl DatabaseSettings {
    /// These settings, for a database that has the `present` ones: an embedded server without a name stays the
    /// same one.
    pub(crate) fn following(mut self, present: &Self) -> Self {
        if self.address.is_unnamed() && present.address.is_unnamed() {
            self.address = present.address.clone();
        }
        self
    }

    /// Whether shared connections tell when they are saturated, so that others are opened.
    pub(crate) fn can_grow(&self) -> bool {
        self.shared_max > self.shared_min
    }
}
