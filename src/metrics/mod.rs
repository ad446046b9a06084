//! Statistics for a metrics system, by the `metrics` facade.
//!
//! - this file: [`Metrics`] · `names`: the names, and their descriptions · `record`: what each is

mod names;
mod record;

use std::{
    fmt,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::timeout;

use crate::{registry::Registry, stats::SupervisorStats};

/// The statistics of a supervisor as metrics; [`Supervisor::metrics`](crate::Supervisor::metrics) makes it. Needs the
/// feature `metrics`.
///
/// Commands call no recorder: they are counted as for [`statistics`](crate::Supervisor::statistics), and
/// [`flush`](Self::flush) hands what was added since the last time to the recorder of the program. So switching metrics on
/// costs a command nothing. Let [`run`](Self::run) call it every few seconds, and call it before a scrape: many recorders
/// take memory for each duration that is handed over, until they sum them up. Install the recorder
/// before the first flush, which also describes the metrics to it, and use one value per recorder: two would count
/// everything twice. What is counted of a database between the last flush and its removal is not handed over.
///
/// The names are those of [OpenTelemetry's conventions for database
/// clients](https://opentelemetry.io/docs/specs/semconv/database/database-metrics/) where it has some, and begin with
/// `redis_steward.` otherwise. Each has the label `db.client.connection.pool.name`, the name of the database.
///
/// | name | kind | meaning |
/// |---|---|---|
/// | `db.client.operation.duration` | histogram, s | [`latency`](crate::DatabaseStats::latency) of commands |
/// | `db.client.connection.count` | gauge, `db.client.connection.state` | connections that are `used` or `idle` |
/// | `db.client.connection.max`, `.idle.max` | gauge | [`max_connections`](crate::DatabaseConfig::max_connections) |
/// | `db.client.connection.pending_requests` | gauge | callers that wait for a connection |
/// | `db.client.connection.timeouts` | counter | waits for a lease that were in vain |
/// | `db.client.connection.create_time`, `.wait_time`, `.use_time` | histogram, s | of [`PoolStats`](crate::PoolStats) |
/// | `redis_steward.operations` | counter, `outcome` | commands by outcome, as in [`DatabaseStats`](crate::DatabaseStats) |
/// | `redis_steward.retries`, `.retries_denied`, `.slow` | counter | attempts that were repeated, that were not because the budget was used up, slow commands |
/// | `redis_steward.bytes` | counter, `direction` | bytes `sent` and `received` |
/// | `redis_steward.in_flight`, `.in_flight_bytes`, `.parked` | gauge | commands under way, and those that wait for a connection |
/// | `redis_steward.state` | gauge, `state` | 1 for the present [state](crate::HealthState), 0 for all others |
/// | `redis_steward.circuit` | gauge | 0 closed, 1 half-open, 2 open |
/// | `redis_steward.circuit_changes`, `.trips`, `.events` | counter | changes of the circuit, its openings, health events |
/// | `redis_steward.connections` | counter, `event` | connections `opened`, `lost`, `discarded`, and dials that `failed` |
/// | `redis_steward.evictions` | counter, `reason` | connections that were closed though nothing was wrong |
/// | `redis_steward.leases` | gauge | connections that are leased |
/// | `redis_steward.fallback` | counter, `result` | calls `served` in place of the server, `stale` ones among them, writes `replayed` and not |
/// | `redis_steward.near_cache` | counter, `event` | of a [near cache](crate::NearCacheStats), once a handle is cached: each `hit`, `miss`, `eviction`, `invalidation` |
/// | `redis_steward.near_cache_bytes` | gauge | about the memory of what it keeps |
/// | `redis_steward.subscribers`, `.topics` | gauge | subscriptions, and the channels and patterns that they listen to |
/// | `redis_steward.pubsub` | counter, `event` | messages `received`, `delivered` and `dropped`, `gaps`, channels `refused`, and connections `opened`, `failed` and `lost`, as in [`SubscriptionStats`](crate::SubscriptionStats) |
/// | `redis_steward.consumers`, `.entries_held` | gauge | consumers of streams that run, and the entries that they have and did not acknowledge yet |
/// | `redis_steward.entries` | counter, `event` | entries `read`, `claimed`, `handled`, `failed`, `acknowledged`, `dead_lettered` and `trimmed`, as in [`ConsumerTotals`](crate::ConsumerTotals) |
///
/// A histogram gets each duration as the middle of its [bucket](crate::DurationHistogram): the counts of buckets are exact
/// if the metrics system has the bounds of
/// [`BOUNDS_IN_SECONDS`](crate::DurationHistogram::BOUNDS_IN_SECONDS), and sums are estimates.
///
/// ```
/// use redis_steward::{Config, Supervisor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let supervisor = Supervisor::spawn(Config::single("memory://")).await?;
/// let metrics = supervisor.metrics();
/// tokio::spawn(metrics.run(std::time::Duration::from_secs(5)));
/// # Ok(())
/// # }
/// ```
pub struct Metrics {
    registry: Arc<Registry>,
    /// What the recorder has.
    flushed: Mutex<Option<SupervisorStats>>,
}

impl Metrics {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            flushed: Mutex::new(None),
        }
    }

    /// Hands all that was added since the last call to the recorder of the program. It calls the code of that recorder,
    /// and waits for no server.
    pub fn flush(&self) {
        // Held meanwhile, so that two calls at the same time do not hand over the same. A panic of the recorder leaves
        // what was handed over last.
        let mut flushed = self.flushed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut present = self.registry.statistics();
        let Some(before) = &*flushed else {
            names::describe();
            record::record(&present);
            *flushed = Some(present);
            return;
        };
        record::record(&present.since(before));
        for name in before.databases.keys() {
            if !present.databases.contains_key(name) {
                record::record_removed(name);
            }
        }
        present.keep_handed_over(before);
        *flushed = Some(present);
    }

    /// Flushes at this interval, and once more when the supervisor is shut down; then it ends. Dropping the future ends
    /// it as well. It does not keep the supervisor running.
    pub async fn run(self, every: Duration) {
        let mut events = self.registry.hub.subscribe();
        // The events end after the last states are published.
        let mut ended = pin!(async { while events.next().await.is_some() {} });
        loop {
            self.flush();
            if timeout(every, &mut ended).await.is_ok() {
                self.flush();
                return;
            }
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
