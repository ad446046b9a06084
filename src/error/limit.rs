//! The limits behind [`Error::Overloaded`](super::Error::Overloaded).

use std::fmt;

/// The limit of one database that refused a call with
/// [`Error::Overloaded`](crate::Error::Overloaded). Each variant holds the configured value.
///
/// A limit bounds the memory and the delay that a slow server can cause in this process. A refused
/// call has not run, and does not count against the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Commands in flight:
    /// [`DatabaseConfig::max_in_flight`](crate::DatabaseConfig::max_in_flight), 65,536 by default. All nodes of a cluster together
    /// may have four times as many; then the error names the cluster.
    Commands(usize),
    /// Bytes of requests in flight:
    /// [`DatabaseConfig::max_in_flight_bytes`](crate::DatabaseConfig::max_in_flight_bytes), 512 MiB
    /// by default.
    Bytes(usize),
    /// Requests that wait for a connection:
    /// [`DatabaseConfig::max_parked`](crate::DatabaseConfig::max_parked), 16,384 by default. Waiting
    /// for a shared connection and waiting for a lease are counted apart, and each has this limit.
    Parked(usize),
    /// Connections: [`DatabaseConfig::max_connections`](crate::DatabaseConfig::max_connections), 50
    /// by default. The shared connections use them all, so none can ever be leased. Waiting would not
    /// help; the configuration has to change.
    Connections(usize),
    /// Messages that a subscription may leave unread:
    /// [`SubscriptionBuilder::max_messages`](crate::SubscriptionBuilder::max_messages), beside its bound of bytes. The
    /// subscription has ended with [`EndCause::Overflowed`](crate::EndCause::Overflowed), so nothing can be added to it.
    Subscription(usize),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commands(limit) => write!(f, "max_in_flight = {limit}"),
            Self::Bytes(limit) => write!(f, "max_in_flight_bytes = {limit}"),
            Self::Parked(limit) => write!(f, "max_parked = {limit}"),
            Self::Connections(limit) => write!(
                f,
                "max_connections = {limit}, and the shared connections leave none to lease; raise \
                 max_connections"
            ),
            Self::Subscription(limit) => write!(
                f,
                "max_messages = {limit} of the subscription, which has ended with it"
            ),
        }
    }
}
