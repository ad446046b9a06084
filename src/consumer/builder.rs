//! The settings of a consumer.

use std::{
    error::Error as StdError,
    fmt,
    num::{NonZeroU64, NonZeroUsize},
    process,
    sync::Arc,
    time::Duration,
};

use actix::Recipient;

use super::{
    entry::StreamEntry,
    group::{Group, KeyOf, Names, StartFrom},
    handle::Consumer,
    handler::{Handler, Verdict},
    recipient::{HandleEntry, handler_of},
};
use crate::{
    config::MAX_WAIT,
    database::Database,
    policy::{consumer::Terms, slots::has_hash_tag},
    state::clock,
};

/// The settings of a [`Consumer`], from [`Database::consumer`] on.
#[derive(Clone)]
#[must_use = "nothing is read before run"]
pub struct ConsumerBuilder {
    database: Database,
    stream: String,
    group: String,
    name: Option<String>,
    start: Option<StartFrom>,
    concurrency: NonZeroUsize,
    batch: NonZeroUsize,
    claim_idle: Duration,
    max_deliveries: Option<NonZeroU64>,
    dead_letters: Option<String>,
    key_of: Option<Arc<KeyOf>>,
}

const MIN_CLAIM_IDLE: Duration = Duration::from_millis(10);

impl Database {
    /// A consumer of a stream, as a member of a consumer group: it calls a handler for each entry, and acknowledges the
    /// entries that were handled. See [`Consumer`] for what that guarantees.
    ///
    /// Overrides of this handle, such as a timeout, do not concern the consumer.
    ///
    /// ```no_run
    /// # async fn example(main: redis_steward::Database) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use redis_steward::{StartFrom, StreamEntry};
    ///
    /// async fn bill(entry: StreamEntry) -> Result<(), std::num::ParseIntError> {
    ///     let cents: u64 = entry.text("cents").unwrap_or("0").parse()?;
    ///     println!("order {} costs {cents} cents", entry.id());
    ///     Ok(())
    /// }
    ///
    /// let consumer = main
    ///     .consumer("orders", "billing")
    ///     .create_group(StartFrom::Beginning)
    ///     .run(bill);
    /// tokio::select! {
    ///     error = consumer.ended() => return Err(error.into()),
    ///     _ = tokio::signal::ctrl_c() => {}
    /// }
    /// consumer.stop(Duration::from_secs(10)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn consumer(&self, stream: impl Into<String>, group: impl Into<String>) -> ConsumerBuilder {
        ConsumerBuilder {
            database: self.without_overrides(),
            stream: stream.into(),
            group: group.into(),
            name: None,
            start: None,
            concurrency: DEFAULT_CONCURRENCY,
            batch: DEFAULT_BATCH,
            claim_idle: Duration::from_secs(30),
            max_deliveries: Some(DEFAULT_DELIVERIES),
            dead_letters: None,
            key_of: None,
        }
    }
}

const DEFAULT_CONCURRENCY: NonZeroUsize = NonZeroUsize::new(16).expect("BUG: not zero");
const DEFAULT_BATCH: NonZeroUsize = NonZeroUsize::new(64).expect("BUG: not zero");
const DEFAULT_DELIVERIES: NonZeroU64 = NonZeroU64::new(5).expect("BUG: not zero");

impl ConsumerBuilder {
    /// The name of the consumer in its group. Two consumers that run must not have the same one: each would handle
    /// entries of the other.
    ///
    /// A name that stays the same over restarts of a program lets it continue with its own pending entries at once,
    /// instead of after [`claim_idle`](Self::claim_idle). Default: `redis-steward-`, the process id, and a random number.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Creates the group where it is missing, and the stream with it: at the start, and again if the server has lost its
    /// data. Without this, the consumer ends with
    /// [`ConsumerError::NoGroup`](crate::ConsumerError::NoGroup).
    ///
    /// A group that exists is left as it is. One that is created again gets all entries that are there by then, with
    /// [`StartFrom::End`] those since the start of this consumer; so after a deletion of the group by an operator entries
    /// are handled again.
    pub fn create_group(mut self, start: StartFrom) -> Self {
        self.start = Some(start);
        self
    }

    /// The most handlers that run at a time. Default: 16. Each is a task of its own on the runtime in which
    /// [`run`](Self::run) is called, or on that of the connections if it is called outside of any.
    pub fn concurrency(mut self, handlers: NonZeroUsize) -> Self {
        self.concurrency = handlers;
        self
    }

    /// The most entries that are read at a time. Default: 64.
    ///
    /// Up to twice as many entries, beside those that are handled, are read ahead and wait in this process, where no
    /// other consumer gets them. For entries that take long, a small number spreads them better.
    pub fn batch(mut self, entries: NonZeroUsize) -> Self {
        self.batch = entries;
        self
    }

    /// An entry that was delivered so long ago, and neither acknowledged nor claimed again since, is taken over: its
    /// consumer has died, or its handler has failed. So this is also the pause before an entry is tried again. Default:
    /// 30 s. Range: 10 ms to 1 year; values outside count as the nearest limit.
    ///
    /// All consumers of a group should have the same value. A consumer renews its claims every third of it, so it should
    /// be longer than pauses of the process and short outages, or entries are handled twice.
    pub fn claim_idle(mut self, idle: Duration) -> Self {
        self.claim_idle = idle.clamp(MIN_CLAIM_IDLE, MAX_WAIT);
        self
    }

    /// An entry that was delivered so often, and never acknowledged, goes to the
    /// [dead letters](Self::dead_letters). Default: 5. Deliveries to consumers that died count, and so do those in a reply
    /// that was too large to be read: with less than 3, the neighbours of a very large entry may end there, too.
    pub fn max_deliveries(mut self, deliveries: NonZeroU64) -> Self {
        self.max_deliveries = Some(deliveries);
        self
    }

    /// No entry goes to the dead letters. One that always fails is tried for ever, each time after
    /// [`claim_idle`](Self::claim_idle).
    pub fn unlimited_deliveries(mut self) -> Self {
        self.max_deliveries = None;
        self
    }

    /// The stream of the dead letters. Default: the name of the stream with `:dead` at its end. In a
    /// [cluster](crate::DatabaseConfig::cluster) it has the stream's name in braces, as in `{orders}:dead`, so that both are in one slot;
    /// another name has to be in the slot of the stream as well.
    ///
    /// A dead letter has the fields of the entry and `dead:stream`, `dead:group`, `dead:id`, `dead:deliveries`, and
    /// `dead:failure` with the beginning of the handler's last error, if it failed in the same process. The stream grows
    /// until somebody trims it.
    ///
    /// An entry that alone is larger than [`max_reply_bytes`](crate::DatabaseConfig::max_reply_bytes) permits cannot be
    /// read. When it was delivered often enough, its dead letter has none of its fields: `dead:id` tells where they are in
    /// the stream, and `dead:failure` the reason.
    pub fn dead_letters(mut self, stream: impl Into<String>) -> Self {
        self.dead_letters = Some(stream.into());
        self
    }

    /// Handles entries with the same key one after the other, in the order of the stream, and others at the same time.
    ///
    /// The order holds within this consumer: entries with one key may go to several consumers of a group. An entry whose
    /// handler failed does not hold up the later ones: it is tried again after them. One for which `key` panics has none.
    ///
    /// ```no_run
    /// # fn example(main: redis_steward::Database) {
    /// let builder = main
    ///     .consumer("orders", "billing")
    ///     .in_order_by(|entry| entry.bytes("customer").unwrap_or_default());
    /// # }
    /// ```
    pub fn in_order_by(
        mut self,
        key: impl Fn(&StreamEntry) -> &[u8] + Send + Sync + 'static,
    ) -> Self {
        self.key_of = Some(Arc::new(key));
        self
    }

    /// Starts the consumer. `handler` is called for each entry, and its future runs in a task of its own. If it returns an
    /// error or panics, the entry is not acknowledged.
    ///
    /// This returns at once. Whether the server can be reached makes no difference.
    pub fn run<H, F, E>(self, handler: H) -> Consumer
    where
        H: Fn(StreamEntry) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.start(Arc::new(move |entry| {
            let handling = handler(entry);
            Box::pin(async move {
                match handling.await {
                    Ok(()) => Verdict::Handled,
                    Err(error) => Verdict::Failed(error.into().to_string().into()),
                }
            })
        }))
    }

    /// Starts the consumer, as [`run`](Self::run), with an actor as its handler. An entry is acknowledged when the actor
    /// has replied with `Ok`; at most [`concurrency`](Self::concurrency) messages wait for their replies. When the actor
    /// has stopped, the consumer acknowledges what the actor has handled, for which it takes up to ten seconds, gives back
    /// what it has not begun, and ends with
    /// [`ConsumerError::RecipientStopped`](crate::ConsumerError::RecipientStopped).
    pub fn deliver_to(self, recipient: Recipient<HandleEntry>) -> Consumer {
        self.start(handler_of(recipient))
    }

    fn start(self, handler: Handler) -> Consumer {
        let name = self.name.unwrap_or_else(unique_name);
        let terms = Terms {
            concurrency: self.concurrency.get(),
            batch: self.batch.get(),
            claim_idle: self.claim_idle,
            max_deliveries: self.max_deliveries.map(NonZeroU64::get),
            creates_group: self.start.is_some(),
        };
        let dead_letters = self.dead_letters.unwrap_or_else(|| {
            // In a cluster both have to be in one slot.
            if self.database.is_cluster() && !has_hash_tag(&self.stream) {
                format!("{{{}}}:dead", self.stream)
            } else {
                format!("{}:dead", self.stream)
            }
        });
        let names = Names {
            stream: self.stream,
            group: self.group,
            consumer: name.clone(),
            dead_letters,
        };
        let start = self.start.unwrap_or(StartFrom::End);
        let group = Group::new(&self.database, names, start, self.claim_idle, self.key_of);
        Consumer::start(&self.database, name.into(), terms, group, handler)
    }
}

impl fmt::Debug for ConsumerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerBuilder")
            .field("stream", &self.stream)
            .field("group", &self.group)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A name that no other consumer has.
fn unique_name() -> String {
    let number = (clock::jitter() * f64::from(u32::MAX)) as u32;
    format!("redis-steward-{}-{number:08x}", process::id())
}
