//! A snapshot of the connections of one database.

use std::time::Duration;

use super::DurationHistogram;

/// A snapshot of the connections of one database.
///
/// [`DatabaseStats::pool`](crate::DatabaseStats::pool) holds it, and so does
/// [`Error::TimedOut`](crate::Error::TimedOut). The connections of health probes are not included.
///
/// The numbers of connections by state are of one moment: `open` is the sum of `shared`, `in_use`,
/// `idle` and `closing`, and `open + opening <= max`. For a while after [`Supervisor::apply`](crate::Supervisor::apply)
/// there may be more: one while connections are replaced, and those beyond a lower maximum until they are free. The
/// counters (`opened`, `dial_failures`, `lost`, `evicted`, `discarded`, `restarts`, `handoffs`, `acquire_timeouts`) and histograms
/// begin at 0 when the database is added, and are read one after the other.
///
/// A pool that is too small shows as `waiting` above 0 and long `acquire_wait`: raise
/// [`max_connections`](crate::DatabaseConfig::max_connections).
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PoolStats {
    /// Connections whose socket is open.
    pub open: usize,
    /// Shared connections in service. There may be one more than the
    /// [configured](crate::DatabaseConfig::shared_connections) maximum while an old one is replaced,
    /// because its successor is opened first.
    pub shared: usize,
    /// Connections that are leased, or run a blocking command.
    pub in_use: usize,
    /// Connections that are free to be leased.
    pub idle: usize,
    /// Connections that are out of service and wait for the replies of their last commands.
    pub closing: usize,
    /// Connections that are being opened.
    pub opening: usize,
    /// The number of further leases that could be granted now.
    pub available: usize,
    /// The most connections that may be open or opening at once:
    /// [`max_connections`](crate::DatabaseConfig::max_connections).
    pub max: usize,
    /// Commands that wait for a shared connection at this moment.
    pub parked: usize,
    /// Callers that wait for a lease at this moment, those of blocking commands included.
    pub waiting: usize,
    /// The waits for leases that were granted.
    pub acquire_wait: DurationHistogram,
    /// The waits for leases that ended at their deadline.
    pub acquire_timeouts: u64,
    /// The time that it took to open each connection, with its greeting.
    pub create_time: DurationHistogram,
    /// How long each caller has kept a connection of its own, blocking commands included.
    pub use_time: DurationHistogram,
    /// Connections opened so far.
    pub opened: u64,
    /// Failed attempts to open a connection.
    pub dial_failures: u64,
    /// Connections that broke: the server or the network ended them, they were silent for too long, or
    /// their input was malformed.
    pub lost: u64,
    /// Working connections that were closed because they were idle, old, superfluous, had old settings, or led to
    /// a server that was about to move.
    pub evicted: Evictions,
    /// Working connections that were closed for another reason: a lease had changed them or left a
    /// reply unread, they led to the wrong server, or the supervisor was shut down.
    pub discarded: u64,
    /// Time since the last [sweep](crate::DatabaseConfig::sweep_interval); `None` before the first.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "last_sweep_seconds", serialize_with = "super::wire::seconds")
    )]
    pub last_sweep: Option<Duration>,
    /// Restarts of the pool after a crash.
    pub restarts: u64,
    /// Moves that the server has announced, for which connections to the new place were opened before: see
    /// [`MaintenanceNotifications`](crate::MaintenanceNotifications).
    pub handoffs: u64,
}

/// Working connections that were closed though nothing was wrong with them, by reason; see [`PoolStats::evicted`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Evictions {
    /// They were unused for the [idle timeout](crate::DatabaseConfig::idle_timeout).
    pub idle: u64,
    /// They were older than the [maximum lifetime](crate::DatabaseConfig::max_lifetime).
    pub lifetime: u64,
    /// They were shared connections, and fewer were enough for the load; or they were more than the maximum, which
    /// had been lowered.
    pub spare: u64,
    /// They were idle, and a shared connection needed their place within `max_connections`.
    pub displaced: u64,
    /// Their settings were changed by [`Supervisor::apply`](crate::Supervisor::apply), and there was another
    /// connection with the new ones.
    pub outdated: u64,
    /// The server had announced that it moves, and there was a connection to the new place.
    pub moved: u64,
}

impl Evictions {
    /// The sum of all reasons.
    pub fn total(&self) -> u64 {
        self.idle + self.lifetime + self.spare + self.displaced + self.outdated + self.moved
    }
}
