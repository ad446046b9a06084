//! The statistics of subscribers.

/// The [subscribers](crate::Database::subscribe) of one database, and their connection.
///
/// [`DatabaseStats::subscriptions`](crate::DatabaseStats::subscriptions) holds it. The connection is in no other number:
/// it is one more than [`max_connections`](crate::DatabaseConfig::max_connections) permits, and the statistics of the
/// pool do not include it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SubscriptionStats {
    /// The open connections of subscribers: 1 while anything is subscribed, and 0 otherwise and during an outage.
    pub connections: usize,
    /// The [`Subscription`](crate::Subscription)s that exist.
    pub subscribers: usize,
    /// Channels and patterns with a subscriber. Each counts once, however many listen.
    pub topics: usize,
    /// Messages that came from the server.
    pub messages: u64,
    /// Messages that were put into the queue of a subscriber, and not dropped again. A message counts once for each
    /// subscriber that listens.
    pub delivered: u64,
    /// Messages that were dropped because the queue of a subscriber was full; the sum of all
    /// [`Lagged`](crate::PubSubEvent::Lagged), and one for each subscription that ended for that.
    pub dropped: u64,
    /// Interruptions, each counted once for each subscriber that was told of it.
    pub gaps: u64,
    /// Channels that the server has refused.
    pub refused: u64,
    /// Connections opened so far.
    pub opened: u64,
    /// Failed attempts to open one.
    pub dial_failures: u64,
    /// Connections that broke.
    pub lost: u64,
}
