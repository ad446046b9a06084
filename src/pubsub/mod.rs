//! Pub/sub as applications use it. What happens behind is in `state/subscribers/`, `policy/subscriptions/` and
//! `actors/subscribers/`.
//!
//! - this file: [`Subscription`] · `builder`: how one begins · `delivery`: its events as messages of actix
//! - in a cluster: `shards`: sharded channels · `keyspace`: channels that tell of changed keys · `listener`: both at one node ·
//!   `waiting`: what they wait for

mod builder;
mod delivery;
mod keyspace;
mod listener;
mod shards;
mod waiting;

pub use builder::SubscriptionBuilder;

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::Stream;

use self::{
    keyspace::{Keyspace, is_of_keyspace},
    shards::Shards,
};
use crate::{
    database::Database,
    error::Error,
    events::{PubSubEvent, Topic},
    policy::subscriptions::SubscriberId,
    state::{Bounds, SubscriberQueue, clock},
};

/// The messages of channels, as a stream that survives every loss of its connection.
///
/// [`Database::subscribe`] and its like return it, when the server has confirmed all channels: nothing that is published
/// after that is missed unnoticed. It implements [`Stream`](futures_core::Stream), [`next`](Self::next) works without
/// further crates, [`deliver_to`](Self::deliver_to) sends the events to an actix actor, and
/// [`BlockingSubscription`](crate::BlockingSubscription) is an iterator for threads.
///
/// Channels can be added and dropped while it runs. Dropping it ends the subscription. The supervisor runs as long as it
/// exists.
///
/// # Its connection
///
/// In a [cluster](crate::DatabaseConfig::cluster), sharded channels are heard at the nodes of their slots, over one connection to
/// each, and follow their slots to other nodes, with a gap in the stream that lasts until the next event is asked for. Channels that
/// tell of [changed keys](#changes-of-keys) are heard at all primaries. The bounds of the queue hold for each node. All
/// other channels are heard at any node.
///
/// All subscriptions of a database share one connection. It is opened with the first and closed after the last. A channel
/// is subscribed once, however many listen to it. The connection is one more than
/// [`max_connections`](crate::DatabaseConfig::max_connections) permits, and disturbs no command. It speaks RESP3 where
/// the server does.
///
/// # What is told
///
/// Redis keeps no message for a client that is away. So when the connection is lost, [`PubSubEvent::Interrupted`] is told
/// at once. The connection is opened anew as soon as that is possible, with all its channels in one write, and
/// [`PubSubEvent::Gap`] stands in the stream exactly where messages may be missing. So does
/// [`PubSubEvent::Lagged`], where this subscriber was too slow. A connection that says nothing for two seconds is asked
/// for a sign of life, and given up if it owes an answer for twice the
/// [attempt timeout](crate::DatabaseConfig::attempt_timeout).
///
/// An [isolated](crate::Supervisor::isolate) database has no subscriptions; they go on after
/// [`reset`](crate::Supervisor::reset). While the circuit is open no connection is opened, and one that works stays. The
/// stream ends with [`PubSubEvent::Ended`].
///
/// # A state and its changes
///
/// To follow a state that the server holds, subscribe first and read it then: the subscription is confirmed, so each later
/// change comes as a message. Read it again where messages may be missing. Messages that were on their way during a read
/// tell of changes that the state has already, so it must do no harm to apply one again: send new values, not differences.
///
/// ```no_run
/// # async fn example(main: redis_steward::Database) -> Result<(), redis_steward::Error> {
/// use redis_steward::PubSubEvent;
///
/// let mut changes = main.subscribe(["price:changed"]).await?;
/// // A patient handle reads also right after an outage.
/// let reader = main.patient();
/// let mut price: Option<String> = reader.query(redis::cmd("GET").arg("price")).await?;
/// while let Some(event) = changes.next().await {
///     if event.misses_messages() {
///         price = reader.query(redis::cmd("GET").arg("price")).await?;
///     } else if let PubSubEvent::Message { payload, .. } = event {
///         price = Some(String::from_utf8_lossy(&payload).into_owned());
///     }
///     println!("the price is {price:?}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Changes of keys
///
/// The server can publish each change of a key itself, if its setting `notify-keyspace-events` says so, for instance `KA`.
/// By default it does not, and this crate never changes settings of a server. Where it is off, nothing comes, and nothing
/// else tells. A program finds out by a change of its own:
///
/// ```no_run
/// # async fn example(main: redis_steward::Database) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// let mut changes = main.psubscribe(["__keyspace@0__:session:*"]).await?;
/// main.query::<()>(redis::cmd("SET").arg("session:probe").arg("").arg("PX").arg(1)).await?;
/// let first = tokio::time::timeout(Duration::from_secs(1), changes.next()).await;
/// if first.is_err() {
///     return Err("the server does not tell of changed keys: set its notify-keyspace-events to KA".into());
/// }
/// # Ok(())
/// # }
/// ```
///
/// In a cluster each node publishes the changes of its own keys, and only to those who listen to that node. So a channel or a
/// pattern whose name begins with `__key` is heard at each primary, also at those that come later, from which changes may be missing
/// until then: a gap is told. All of them have to confirm it.
///
/// # Slow subscribers
///
/// Each subscriber has a queue, by default of 4,096 messages and 16 MiB, whichever is reached first. A slow one delays
/// neither others nor the connection: beyond the bounds the oldest messages are dropped and counted. See
/// [`Database::subscription`] for other bounds.
///
/// # Example
///
/// ```no_run
/// # async fn example(main: redis_steward::Database) -> Result<(), redis_steward::Error> {
/// use redis_steward::PubSubEvent;
///
/// let mut orders = main.subscribe(["orders"]).await?;
/// while let Some(event) = orders.next().await {
///     match event {
///         PubSubEvent::Message { payload, .. } => println!("{payload:?}"),
///         // What depends on all messages is to be read anew.
///         PubSubEvent::Gap { cause, .. } => println!("messages may be missing: {cause}"),
///         PubSubEvent::Lagged(missed) => println!("{missed} messages were dropped"),
///         other => println!("{other:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "the subscription ends when this is dropped"]
pub struct Subscription {
    database: Database,
    id: SubscriberId,
    queue: Arc<SubscriberQueue>,
    /// Its sharded channels, if the database is a cluster.
    shards: Shards,
    /// And those that tell of changed keys.
    keyspace: Keyspace,
    /// Whom to ask first.
    turn: usize,
    is_over: bool,
    bounds: Bounds,
}

/// Which kind of channel a name is of.
type Kind = fn(Bytes) -> Topic;

impl Subscription {
    fn new(database: Database, bounds: Bounds) -> Self {
        let (id, queue) = database.engine.state.subscribers.add(bounds);
        Self {
            database,
            id,
            queue,
            shards: Shards::default(),
            keyspace: Keyspace::default(),
            turn: 0,
            is_over: false,
            bounds,
        }
    }

    /// The next event, or `None` after the last one.
    ///
    /// The future may be dropped at any point without losing an event, for instance in a `select!`. It needs no
    /// particular runtime.
    pub async fn next(&mut self) -> Option<PubSubEvent> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Adds channels, and returns when the server has confirmed them. Those that it has already cost nothing.
    ///
    /// Events come meanwhile as well. If the future is dropped before the confirmation, nothing is added.
    ///
    /// # Errors
    ///
    /// As [`Database::subscribe`]; then none of the channels is added, and the others go on. [`Error::Overloaded`] if the
    /// subscription has ended with [`EndCause::Overflowed`](crate::EndCause::Overflowed).
    pub async fn subscribe(
        &mut self,
        channels: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<(), Error> {
        self.add(channels, Topic::Channel).await
    }

    /// Adds patterns, as [`subscribe`](Self::subscribe) adds channels.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn psubscribe(
        &mut self,
        patterns: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<(), Error> {
        self.add(patterns, Topic::Pattern).await
    }

    /// Adds sharded channels, as [`subscribe`](Self::subscribe) adds channels.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn ssubscribe(
        &mut self,
        channels: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<(), Error> {
        self.add(channels, Topic::ShardChannel).await
    }

    /// Drops channels: none of their messages comes from now on, but for those that are in the queue already. Others that
    /// listen to them go on.
    pub fn unsubscribe(&mut self, channels: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        self.drop_topics(channels, Topic::Channel);
    }

    /// Drops patterns, as [`unsubscribe`](Self::unsubscribe) drops channels.
    pub fn punsubscribe(&mut self, patterns: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        self.drop_topics(patterns, Topic::Pattern);
    }

    /// Drops sharded channels, as [`unsubscribe`](Self::unsubscribe) drops channels.
    pub fn sunsubscribe(&mut self, channels: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        self.drop_topics(channels, Topic::ShardChannel);
    }

    /// The name under which the database was configured.
    pub fn name(&self) -> &str {
        self.database.name()
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<PubSubEvent>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        // In turns, so that none hides the others.
        self.turn = self.turn.wrapping_add(1);
        for place in 0..3 {
            let event = match (self.turn + place) % 3 {
                0 => self.shards.poll(&self.database, self.bounds, cx).map(Some),
                1 => {
                    let keyspace = &mut self.keyspace;
                    keyspace.poll(&self.database, self.bounds, cx).map(Some)
                }
                _ => self.queue.poll(cx),
            };
            if let Poll::Ready(event) = event {
                // The queue of a node may have overflowed.
                self.is_over = matches!(event, None | Some(PubSubEvent::Ended(_)));
                return Poll::Ready(event);
            }
        }
        Poll::Pending
    }

    async fn add(
        &mut self,
        names: impl IntoIterator<Item = impl AsRef<[u8]>>,
        kind: Kind,
    ) -> Result<(), Error> {
        let topics = topics(names, kind);
        let engine = &self.database.engine;
        if self.is_over && self.database.is_cluster() {
            // The queue of one node, and so all of it.
            return Err(engine.overflowed(self.bounds.max_messages));
        }
        let options = self.database.options();
        if !self.database.is_cluster() {
            return engine.subscribe(options, self.id, topics).await;
        }
        if kind(Bytes::new()) == Topic::ShardChannel(Bytes::new()) {
            let channels = topics.iter().map(|topic| topic.name().clone());
            return self.shards.add(&self.database, self.bounds, channels).await;
        }
        let (of_keyspace, others) = topics.into_iter().partition::<Vec<_>, _>(is_of_keyspace);
        if of_keyspace.is_empty() {
            return engine.subscribe(options, self.id, others).await;
        }
        let options = options.counted_from(clock::now());
        let (database, bounds) = (&self.database, self.bounds);
        let keyspace = &mut self.keyspace;
        let added = keyspace.add(database, bounds, options, of_keyspace);
        let topics = added.await?;
        // All or none.
        let mut unless_all = Added { keyspace, topics };
        if !others.is_empty() {
            engine.subscribe(options, self.id, others).await?;
        }
        unless_all.topics.clear();
        Ok(())
    }

    fn drop_topics(&mut self, names: impl IntoIterator<Item = impl AsRef<[u8]>>, kind: Kind) {
        let topics = topics(names, kind);
        let subscribers = &self.database.engine.state.subscribers;
        subscribers.leave(self.id, &topics);
        let is_sharded = |topic: &Topic| matches!(topic, Topic::ShardChannel(_));
        let sharded = topics.iter().filter(|topic| is_sharded(topic));
        self.shards.leave(sharded.map(|topic| topic.name().clone()));
        self.keyspace.leave(&topics);
    }
}

/// Topics that are dropped again if the others are not added.
struct Added<'a> {
    keyspace: &'a mut Keyspace,
    topics: Vec<Topic>,
}

impl Drop for Added<'_> {
    fn drop(&mut self) {
        self.keyspace.leave(&self.topics);
    }
}

fn topics(names: impl IntoIterator<Item = impl AsRef<[u8]>>, kind: Kind) -> Vec<Topic> {
    let names = names.into_iter();
    names
        .map(|name| kind(Bytes::copy_from_slice(name.as_ref())))
        .collect()
}

impl Stream for Subscription {
    type Item = PubSubEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PubSubEvent>> {
        self.get_mut().poll(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.database.engine.state.subscribers.remove(self.id);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("database", &self.name())
            .finish_non_exhaustive()
    }
}
