//! How a subscription begins.

use super::{Kind, Subscription};
use crate::{
    database::Database,
    error::Error,
    events::{Topic, WhenFull},
    state::Bounds,
};

const MAX_MESSAGES: usize = 4_096;
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Pub/sub.
impl Database {
    /// Subscribes to channels, and returns when the server has confirmed all of them. Further ones can be added later.
    ///
    /// See [`Subscription`] for what follows. The wait has the deadline of a call on this handle, and includes that for a
    /// connection. A [patient](Self::patient) handle waits through an outage. The future may be dropped at any point;
    /// then nothing is subscribed.
    ///
    /// # Errors
    ///
    /// - [`Error::Server`] if the server refuses one of the channels, for instance with `NOPERM`. Then none is subscribed.
    /// - [`Error::TimedOut`] at [`Stage::Connect`](crate::Stage::Connect), with the reason why the last dial has failed,
    ///   or at [`Stage::Reply`](crate::Stage::Reply).
    /// - [`Error::CircuitOpen`], [`Error::Isolated`], [`Error::Failed`], [`Error::ShuttingDown`], as for a command.
    ///
    /// ```no_run
    /// # async fn example(main: redis_steward::Database) -> Result<(), redis_steward::Error> {
    /// let mut orders = main.subscribe(["orders", "refunds"]).await?;
    /// orders.subscribe(["invoices"]).await?;
    /// orders.unsubscribe(["refunds"]);
    /// let event = orders.next().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn subscribe(
        &self,
        channels: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Subscription, Error> {
        self.subscription().subscribe(channels).await
    }

    /// Subscribes to all channels that match one of the patterns, such as `orders.*`, as [`subscribe`](Self::subscribe)
    /// does to channels.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn psubscribe(
        &self,
        patterns: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Subscription, Error> {
        self.subscription().psubscribe(patterns).await
    }

    /// Subscribes to sharded channels (`SSUBSCRIBE`, since Redis 7.0), as [`subscribe`](Self::subscribe) does to channels.
    /// In a cluster each is heard at the node of its slot.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn ssubscribe(
        &self,
        channels: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Subscription, Error> {
        self.subscription().ssubscribe(channels).await
    }

    /// A subscription with other bounds of its queue.
    ///
    /// ```no_run
    /// # async fn example(main: redis_steward::Database) -> Result<(), redis_steward::Error> {
    /// use redis_steward::WhenFull;
    ///
    /// let audit = main
    ///     .subscription()
    ///     .max_messages(100_000)
    ///     .when_full(WhenFull::End)
    ///     .psubscribe(["audit.*"])
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscription(&self) -> SubscriptionBuilder {
        SubscriptionBuilder {
            database: self.clone(),
            bounds: Bounds {
                max_messages: MAX_MESSAGES,
                max_bytes: MAX_BYTES,
                when_full: WhenFull::default(),
            },
        }
    }
}

/// The bounds of the queue of a subscription, before it begins; see [`Database::subscription`].
#[derive(Clone, Debug)]
#[must_use = "nothing is subscribed yet"]
pub struct SubscriptionBuilder {
    database: Database,
    bounds: Bounds,
}

impl SubscriptionBuilder {
    /// The most messages that may wait to be taken, from 1; 4,096 by default. 0 is taken as 1.
    pub fn max_messages(mut self, messages: usize) -> Self {
        self.bounds.max_messages = messages.max(1);
        self
    }

    /// The most bytes that they may have, payloads and names of channels together; 16 MiB by default. A message that
    /// alone is larger is dropped, and counted.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.bounds.max_bytes = bytes;
        self
    }

    /// What happens to a message beyond these; by default the oldest are dropped.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.bounds.when_full = when_full;
        self
    }

    /// Subscribes to channels.
    ///
    /// # Errors
    ///
    /// As [`Database::subscribe`].
    pub async fn subscribe(
        self,
        channels: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Subscription, Error> {
        self.begin(channels, Topic::Channel).await
    }

    /// Subscribes to patterns.
    ///
    /// # Errors
    ///
    /// As [`Database::subscribe`].
    pub async fn psubscribe(
        self,
        patterns: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Subscription, Error> {
        self.begin(patterns, Topic::Pattern).await
    }

    /// Subscribes to sharded channels.
    ///
    /// # Errors
    ///
    /// As [`Database::subscribe`].
    pub async fn ssubscribe(
        self,
        channels: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Subscription, Error> {
        self.begin(channels, Topic::ShardChannel).await
    }

    async fn begin(
        self,
        names: impl IntoIterator<Item = impl AsRef<[u8]>>,
        kind: Kind,
    ) -> Result<Subscription, Error> {
        let mut subscription = Subscription::new(self.database, self.bounds);
        subscription.add(names, kind).await?;
        Ok(subscription)
    }
}
