//! The messages of channels for threads.

use std::{pin::pin, time::Duration};

use super::{BlockingDatabase, context, wait, wait_for_reply};
use crate::{
    config::MAX_WAIT,
    error::Error,
    events::PubSubEvent,
    pubsub::{Subscription, SubscriptionBuilder},
};

/// A [`Subscription`] for threads without a runtime: an iterator of its events, which blocks until there is one.
///
/// [`BlockingDatabase::subscribe`] and its like return it. It may be called where
/// [`BlockingDatabase`](crate::BlockingDatabase#where-it-may-be-called) may.
///
/// ```no_run
/// # fn example(main: redis_steward::BlockingDatabase) -> Result<(), redis_steward::Error> {
/// use redis_steward::PubSubEvent;
///
/// for event in main.subscribe(["orders"])? {
///     if let PubSubEvent::Message { payload, .. } = event? {
///         println!("{payload:?}");
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the subscription ends when this is dropped"]
pub struct BlockingSubscription {
    subscription: Subscription,
}

impl BlockingDatabase {
    /// Subscribes to channels, as [`Database::subscribe`](crate::Database::subscribe).
    ///
    /// # Errors
    ///
    /// As [`Database::subscribe`](crate::Database::subscribe), and [`Error::WouldBlockRuntime`] in an async task.
    pub fn subscribe(
        &self,
        channels: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<BlockingSubscription, Error> {
        self.begin(|builder| builder.subscribe(channels))
    }

    /// Subscribes to patterns, as [`Database::psubscribe`](crate::Database::psubscribe).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub fn psubscribe(
        &self,
        patterns: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<BlockingSubscription, Error> {
        self.begin(|builder| builder.psubscribe(patterns))
    }

    /// Subscribes to sharded channels, as [`Database::ssubscribe`](crate::Database::ssubscribe).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub fn ssubscribe(
        &self,
        channels: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<BlockingSubscription, Error> {
        self.begin(|builder| builder.ssubscribe(channels))
    }

    fn begin<F>(
        &self,
        begin: impl FnOnce(SubscriptionBuilder) -> F,
    ) -> Result<BlockingSubscription, Error>
    where
        F: Future<Output = Result<Subscription, Error>>,
    {
        let builder = self.database.subscription();
        let subscription = self.wait(self.database.options().timeout, || begin(builder))?;
        Ok(BlockingSubscription { subscription })
    }
}

impl BlockingSubscription {
    /// The next event, if one comes within this time; `None` if none does, or after the last one.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlockRuntime`] in an async task.
    pub fn next_within(&mut self, time: Duration) -> Result<Option<PubSubEvent>, Error> {
        if context::is_async() {
            let engine = &self.subscription.database().engine;
            return Err(engine.would_block_runtime());
        }
        let time = time.min(MAX_WAIT);
        Ok(wait::block_on(pin!(self.subscription.next()), time).flatten())
    }

    /// Adds channels, as [`Subscription::subscribe`].
    ///
    /// # Errors
    ///
    /// As [`Subscription::subscribe`], and [`Error::WouldBlockRuntime`] in an async task.
    pub fn subscribe(
        &mut self,
        channels: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<(), Error> {
        let database = self.subscription.database().clone();
        let (engine, options) = (&database.engine, database.options());
        wait_for_reply(engine, options, options.timeout, || {
            self.subscription.subscribe(channels)
        })
    }

    /// Drops channels, as [`Subscription::unsubscribe`].
    pub fn unsubscribe(&mut self, channels: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        self.subscription.unsubscribe(channels);
    }

    /// The subscription for async code.
    pub fn into_inner(self) -> Subscription {
        self.subscription
    }
}

/// Blocks until there is an event, and ends after the last one. In an async task, which it would block, it gives
/// [`Error::WouldBlockRuntime`].
impl Iterator for BlockingSubscription {
    type Item = Result<PubSubEvent, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_within(MAX_WAIT).transpose()
    }
}
