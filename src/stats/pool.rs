//! The connections of one database, as a snapshot.

use std::time::Duration;

use super::WaitHistogram;

/// The connections of one database. Those by which the health of a server is probed are not among
/// them.
///
/// The numbers of connections are of one moment: `open` is the sum of `shared`, `in_use`, `idle` and
/// `closing`, and `open` and `opening` together are at most `max`. What is counted over time is read
/// one after the other.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolStats {
    /// Connections whose socket is open.
    pub open: usize,
    /// Those that all callers share. While one that is too old has a successor already, there may be
    /// one more than the [configured](crate::DatabaseConfig::shared_connections) maximum.
    pub shared: usize,
    /// Those that are leased, or run a blocking command.
    pub in_use: usize,
    /// Those that wait for somebody to lease them.
    pub idle: usize,
    /// Those that are out of service and finish what they were given.
    pub closing: usize,
    /// Connections that are being opened.
    pub opening: usize,
    /// How many leases there could be at once besides those there are.
    pub available: usize,
    /// The most connections that may be open or opening at a time.
    pub max: usize,
    /// Commands that wait for a shared connection now.
    pub parked: usize,
    /// Callers who wait for a connection of their own now.
    pub waiting: usize,
    /// How long those waited who got one.
    pub acquire_wait: WaitHistogram,
    /// Connections opened so far.
    pub opened: u64,
    /// Attempts to open a connection that failed.
    pub dial_failures: u64,
    /// Connections that broke.
    pub lost: u64,
    /// Connections that were closed because they were idle, old or too many.
    pub evicted: Evictions,
    /// Connections that were closed for another reason, although they worked: leased ones on which
    /// something had been changed or a reply was missing, those that had led to the wrong server, and
    /// all at a shutdown.
    pub discarded: u64,
    /// Time since the janitor last looked for what to close.
    pub last_sweep: Option<Duration>,
    /// Restarts of the pool after a crash.
    pub restarts: u64,
}

/// Connections that worked and were closed, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evictions {
    /// Nobody used them for the [idle timeout](crate::DatabaseConfig::idle_timeout).
    pub idle: u64,
    /// They were older than the [maximum lifetime](crate::DatabaseConfig::max_lifetime).
    pub lifetime: u64,
    /// Fewer shared connections could do the work.
    pub spare: u64,
    /// They were idle, and their place was needed for one that all share.
    pub displaced: u64,
}

impl Evictions {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.idle + self.lifetime + self.spare + self.displaced
    }
}
