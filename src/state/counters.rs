//! The counters of a database, which are read without waiting.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use super::{durations::Durations, permits::Permits};
use crate::{
    error::Error,
    events::History,
    identity::DatabaseId,
    net::{Tally, TallySink},
    policy::pool::{Eviction, Lane, State},
    stats::{
        ConsumerTotals, DatabaseStats, Encryption, Evictions, FallbackStats, LastError, PoolStats,
        SubscriptionStats,
    },
};

/// The counters behind [`DatabaseStats`]. Connections add to them once per batch of replies.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) succeeded: AtomicU64,
    pub(crate) error_replies: AtomicU64,
    pub(crate) timed_out: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) retries_denied: AtomicU64,
    pub(crate) slow: AtomicU64,
    /// Commands that got no reply within the time of a healthy one, and whose callers had given up before
    /// they could report it. Evidence for the health actor.
    pub(crate) unanswered: AtomicU64,
    /// Those of them that no other counter of ended attempts has, because their callers had gone.
    pub(crate) abandoned: AtomicU64,
    pub(crate) parked: AtomicUsize,
    pub(crate) waiting: AtomicUsize,
    pub(crate) acquire_wait: Durations,
    pub(crate) acquire_timeouts: AtomicU64,
    pub(crate) create_time: Durations,
    pub(crate) use_time: Durations,
    latency: Durations,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
    /// Only failed calls write it.
    last_error: ArcSwapOption<(Error, SystemTime)>,
    pub(crate) opened: AtomicU64,
    pub(crate) dial_failures: AtomicU64,
    pub(crate) connections_lost: AtomicU64,
    pub(crate) discarded: AtomicU64,
    pub(crate) restarts: AtomicU64,
    /// Moves of the server that it has announced, and that were followed.
    pub(crate) handoffs: AtomicU64,
    evicted_idle: AtomicU64,
    evicted_lifetime: AtomicU64,
    evicted_spare: AtomicU64,
    evicted_displaced: AtomicU64,
    evicted_outdated: AtomicU64,
    evicted_moved: AtomicU64,
    // Written once per sweep, so there is no contention for the lock.
    last_sweep: Mutex<Option<Instant>>,
}

impl Counters {
    pub(crate) fn evicted(&self, eviction: Eviction) {
        count(match eviction {
            Eviction::Idle => &self.evicted_idle,
            Eviction::Lifetime => &self.evicted_lifetime,
            Eviction::Spare => &self.evicted_spare,
            Eviction::Displaced => &self.evicted_displaced,
            Eviction::Outdated => &self.evicted_outdated,
            Eviction::Moved => &self.evicted_moved,
        });
    }

    /// Notes the failure of a call, unless it is a refusal, which would hide why calls are refused.
    pub(crate) fn note_error(&self, error: &Error) {
        if let Error::CircuitOpen { .. } | Error::Overloaded { .. } | Error::Isolated { .. } = error
        {
            return;
        }
        let last = (error.clone(), SystemTime::now());
        self.last_error.store(Some(Arc::new(last)));
    }

    fn last_error(&self) -> Option<LastError> {
        let last = self.last_error.load_full()?;
        let (error, at) = &*last;
        Some(LastError {
            text: error.to_string(),
            at: *at,
        })
    }

    /// Notes the time of a sweep.
    pub(crate) fn swept(&self) {
        let mut last = self
            .last_sweep
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last = Some(Instant::now());
    }

    pub(crate) fn snapshot(
        &self,
        id: DatabaseId,
        encryption: Encryption,
        history: History,
        (in_flight, in_flight_bytes): (usize, usize),
        fallback: FallbackStats,
        (subscriptions, pool): (SubscriptionStats, PoolStats),
    ) -> DatabaseStats {
        DatabaseStats {
            id,
            replica_of: None,
            node_of: None,
            encryption,
            health: history.health,
            health_for: history.present_for,
            cause: history.cause,
            circuit: history.circuit,
            trips: history.trips,
            circuit_changes: history.circuit_changes,
            events: history.events,
            time_in: history.time_in,
            latency: self.latency.snapshot(),
            succeeded: self.succeeded.load(Relaxed),
            error_replies: self.error_replies.load(Relaxed),
            timed_out: self.timed_out.load(Relaxed),
            lost: self.lost.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            refused: self.refused.load(Relaxed),
            retried: self.retried.load(Relaxed),
            retries_denied: self.retries_denied.load(Relaxed),
            slow: self.slow.load(Relaxed),
            bytes_sent: self.bytes_sent.load(Relaxed),
            bytes_received: self.bytes_received.load(Relaxed),
            last_error: self.last_error(),
            in_flight,
            in_flight_bytes,
            fallback,
            near_cache: None,
            subscriptions,
            consumers: ConsumerTotals::default(),
            pool,
        }
    }

    pub(crate) fn pool(&self, permits: &Permits) -> PoolStats {
        let counts = permits.counts();
        let opening = counts.in_state(State::Opening);
        PoolStats {
            open: counts.total() - opening,
            shared: counts.of(Lane::Shared, State::InUse),
            in_use: counts.of(Lane::Leased, State::InUse),
            idle: counts.in_state(State::Idle),
            closing: counts.in_state(State::Closing),
            opening,
            available: permits.available(&counts),
            max: permits.max(),
            parked: self.parked.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            acquire_wait: self.acquire_wait.snapshot(),
            acquire_timeouts: self.acquire_timeouts.load(Relaxed),
            create_time: self.create_time.snapshot(),
            use_time: self.use_time.snapshot(),
            opened: self.opened.load(Relaxed),
            dial_failures: self.dial_failures.load(Relaxed),
            lost: self.connections_lost.load(Relaxed),
            evicted: Evictions {
                idle: self.evicted_idle.load(Relaxed),
                lifetime: self.evicted_lifetime.load(Relaxed),
                spare: self.evicted_spare.load(Relaxed),
                displaced: self.evicted_displaced.load(Relaxed),
                outdated: self.evicted_outdated.load(Relaxed),
                moved: self.evicted_moved.load(Relaxed),
            },
            discarded: self.discarded.load(Relaxed),
            last_sweep: self.since_last_sweep(),
            restarts: self.restarts.load(Relaxed),
            handoffs: self.handoffs.load(Relaxed),
        }
    }

    fn since_last_sweep(&self) -> Option<Duration> {
        let last = self
            .last_sweep
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.map(|last| last.elapsed())
    }
}

impl TallySink for Counters {
    fn add(&self, tally: &Tally) {
        add(&self.succeeded, tally.succeeded);
        add(&self.error_replies, tally.error_replies);
        add(&self.timed_out, tally.timed_out);
        add(&self.lost, tally.lost);
        add(&self.cancelled, tally.cancelled);
        add(&self.slow, tally.slow);
        add(&self.unanswered, tally.unanswered);
        add(&self.abandoned, tally.abandoned);
        add(&self.bytes_received, tally.bytes_received);
        add(&self.bytes_sent, tally.bytes_sent);
        self.latency.add(&tally.latencies);
    }
}

fn add(counter: &AtomicU64, amount: u64) {
    if amount > 0 {
        counter.fetch_add(amount, Relaxed);
    }
}

/// Adds one. `Relaxed`, because no reader depends on the order of counts.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
