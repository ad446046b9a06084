//! The limits that overload is measured against.

use std::fmt;

/// A limit on what may be outstanding on one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// [`DatabaseConfig::max_in_flight`](crate::DatabaseConfig::max_in_flight).
    Commands(usize),
    /// [`DatabaseConfig::max_in_flight_bytes`](crate::DatabaseConfig::max_in_flight_bytes).
    Bytes(usize),
    /// [`DatabaseConfig::max_parked`](crate::DatabaseConfig::max_parked).
    Parked(usize),
    /// [`DatabaseConfig::max_connections`](crate::DatabaseConfig::max_connections): those that callers
    /// share leave none to be leased.
    Connections(usize),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commands(limit) => write!(f, "max_in_flight = {limit}"),
            Self::Bytes(limit) => write!(f, "max_in_flight_bytes = {limit}"),
            Self::Parked(limit) => write!(f, "max_parked = {limit}"),
            Self::Connections(limit) => write!(
                f,
                "max_connections = {limit}, which leaves none to lease beside the shared ones; raise it"
            ),
        }
    }
}
