//! Whether servers are asked to announce their maintenance.

/// Whether servers are asked to announce their maintenance, and which address they are to name when they move.
///
/// Redis Enterprise and Redis Cloud tell clients beforehand that a server moves to another machine, and that a
/// migration or a failover makes replies slow (`CLIENT MAINT_NOTIFICATIONS`). This crate then opens the next connection before
/// the present one goes, and does not take slow replies for an outage. A server that does not know the command is not
/// asked again, and nothing else changes.
///
/// An announced move holds for the announced time, at least ten seconds and at most an hour: that long slow
/// replies are no fault, and connections may be opened at the new address as well as at the present one. For migrations and failovers see
/// [`relaxed_timeout`](crate::DatabaseConfig::relaxed_timeout).
///
/// Announcements need [`Protocol::Resp3`](crate::Protocol::Resp3): in RESP2 nothing is asked.
///
/// ```
/// use redis_steward::{DatabaseConfig, MaintenanceNotifications, Protocol};
///
/// // The server names the address that is reached from outside of its network.
/// let main = DatabaseConfig::new()
///     .protocol(Protocol::Resp3)
///     .maintenance_notifications(MaintenanceNotifications::ExternalFqdn);
/// # redis_steward::Config::new().database("main", main).check().unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MaintenanceNotifications {
    /// Servers are asked, and name the new address in the form of the present one: a name if the database is
    /// reached by a name, else an IP address; of the internal network if the present IP address is a private one, else the
    /// external one.
    #[default]
    Auto,
    /// Servers are not asked.
    Off,
    /// Servers name the IP address within their network.
    InternalIp,
    /// Servers name the host within their network.
    InternalFqdn,
    /// Servers name the IP address that is reached from outside.
    ExternalIp,
    /// Servers name the host that is reached from outside.
    ExternalFqdn,
    /// Servers name no address. After half of the announced time the next connection is opened to the present
    /// one, which leads to the new machine by then.
    NoAddress,
}

impl MaintenanceNotifications {
    /// All values with their texts.
    const TEXTS: [(&'static str, Self); 7] = [
        ("auto", Self::Auto),
        ("off", Self::Off),
        ("internal-ip", Self::InternalIp),
        ("internal-fqdn", Self::InternalFqdn),
        ("external-ip", Self::ExternalIp),
        ("external-fqdn", Self::ExternalFqdn),
        ("no-address", Self::NoAddress),
    ];

    pub(super) fn from_text(text: &str) -> Option<Self> {
        let mut texts = Self::TEXTS.into_iter();
        texts.find(|known| known.0 == text).map(|known| known.1)
    }

    pub(super) fn text(self) -> &'static str {
        let mut texts = Self::TEXTS.into_iter();
        let known = texts.find(|known| known.1 == self);
        known.expect("BUG: a value without a text").0
    }
}
