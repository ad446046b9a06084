//! What a pool knows of one connection.

use std::time::{Duration, Instant};

use super::{Eviction, Lane, Limits, Place};

/// A connection in the ledger.
pub(super) struct Entry<P> {
    pub(super) place: P,
    pub(super) opened: Instant,
    /// When it became idle, or was last used.
    pub(super) since: Instant,
    /// A random number from 0 to 1, by which connections that were opened together differ in age.
    pub(super) jitter: f64,
    /// The connection is to be closed when its lease is over.
    pub(super) is_distrusted: bool,
    pub(super) is_closing: bool,
    /// The connection was opened with other settings than the present ones, or to where the server is no more soon.
    pub(super) is_outdated: bool,
    /// The same, and there is one in its place. It is to be closed for this reason when its lease is over.
    pub(super) superseded: Option<Eviction>,
    /// The server was lost since it was opened, and has not been asked whether it knows it.
    pub(super) is_doubted: bool,
}

impl<P: Place> Entry<P> {
    pub(super) fn is_leased(&self) -> bool {
        self.place.lane() == Lane::Leased && !self.is_closing
    }

    /// By up to a tenth earlier than the settings say, so that connections which were opened together are not
    /// closed together.
    pub(super) fn is_expired(&self, now: Instant, limits: &Limits) -> bool {
        let age = now.saturating_duration_since(self.opened);
        let is_old = |lifetime: Duration| age >= lifetime.mul_f64(1.0 - 0.1 * self.jitter);
        limits.max_lifetime.is_some_and(is_old)
    }

    pub(super) fn is_unused(&self, now: Instant, limits: &Limits) -> bool {
        now.saturating_duration_since(self.since) >= limits.idle_timeout
    }
}
