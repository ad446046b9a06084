//! The sealed result of checking a configuration. Everything past `resolve` reads this, and may
//! rely on it.

use std::{sync::Arc, time::Duration};

use super::{
    Address, Changes, ConfigNote, Io, MaintenanceNotifications, Protocol, ServiceRegistry,
    changes::Compared as _, fields::DatabaseSettings,
};

/// The longest deadline, grace or interval, a year: an endless one would overflow the clock.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// All nodes of a cluster together may have so many times the commands in flight that one may have.
const NODES_IN_FLIGHT: usize = 4;
/// The largest bounds of commands and bytes in flight; see [`InFlight`](crate::net::InFlight).
const MAX_IN_FLIGHT: usize = 8_388_607;
const MAX_IN_FLIGHT_BYTES: usize = 512 << 30;

/// At least one database, with distinct names, in the order in which they were given.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) databases: Vec<Arc<DatabaseSettings>>,
    /// Further names, each with the name of its database.
    pub(crate) aliases: Vec<(Arc<str>, Arc<str>)>,
    /// The database that stands in for unknown names.
    pub(crate) default_database: Option<Arc<str>>,
    /// Finds the servers of databases that have no address.
    pub(crate) registry: Option<Arc<dyn ServiceRegistry>>,
    /// For the log.
    pub(crate) notes: Vec<ConfigNote>,
    pub(crate) io: Io,
}

impl DatabaseSettings {
    /// The settings that follow these: an embedded server without a name stays the same one, and so do the sessions of
    /// TLS.
    pub(crate) fn precede(&self, mut next: Arc<Self>) -> Arc<Self> {
        if self.tls.is_some() && self.tls.is_same(&next.tls) {
            Arc::make_mut(&mut next).tls = self.tls.clone();
        }
        if self.address.are_unnamed(&next.address) {
            Arc::make_mut(&mut next).address = self.address.clone();
        }
        next
    }

    /// The same for a part of the database at this address. Its name is none that a configuration can have.
    pub(crate) fn of_part(&self, address: &Address) -> Self {
        Self {
            name: format!("{} ({address})", self.name).into(),
            address: address.clone(),
            maintenance_notifications: match self.maintenance_notifications {
                MaintenanceNotifications::Off => MaintenanceNotifications::Off,
                // It is known by this address alone.
                _ => MaintenanceNotifications::NoAddress,
            },
            ..self.clone()
        }
    }

    /// Whether open connections cannot have these changes, so that they are to be replaced.
    pub(crate) fn needs_new_connections(&self, changes: &Changes, next: &Self) -> bool {
        // A shared connection watches its load only if another one could take a part of it.
        let begins_to_grow = next.can_grow() && !self.can_grow();
        changes.are_carried() || begins_to_grow
    }

    /// The same for subscribers, which can do more in RESP3. With a server that refuses it, their connection goes on in
    /// RESP2.
    pub(crate) fn for_subscribers(&self) -> Self {
        Self {
            protocol: Protocol::Resp3,
            // Nobody hands their connection over: it is dialled again, and a gap is told.
            maintenance_notifications: MaintenanceNotifications::Off,
            ..self.clone()
        }
    }

    /// Whether the servers of both are found in the same way: by the same sentinels, for the same service.
    pub(crate) fn shares_sentinels(&self, other: &Self) -> bool {
        self.address == other.address
            && self.sentinel_username.is_same(&other.sentinel_username)
            && self.sentinel_password.is_same(&other.sentinel_password)
            && self.tls.is_same(&other.tls)
    }

    /// The most commands and bytes in flight at all nodes of a cluster together. Each node has the room of the settings, and
    /// all have more, so that one that hangs does not use up that of the others.
    pub(crate) fn most_in_cluster(&self) -> (usize, usize) {
        let most = |of_one: usize, most: usize| (NODES_IN_FLIGHT * of_one).min(most);
        (
            most(self.max_in_flight, MAX_IN_FLIGHT),
            most(self.max_in_flight_bytes, MAX_IN_FLIGHT_BYTES),
        )
    }

    /// Whether more shared connections than the minimum may be opened.
    pub(crate) fn can_grow(&self) -> bool {
        self.shared_max > self.shared_min
    }
}
