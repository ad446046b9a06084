//! The metrics of one database.

use metrics::{Label, counter, gauge, histogram};

use super::names::{
    BYTES, CIRCUIT, CIRCUIT_CHANGES, CONNECTION_COUNT, CONNECTION_IDLE_MAX, CONNECTION_MAX,
    CONNECTION_STATE, CONNECTIONS, CONSUMERS, CREATE_TIME, ENTRIES, ENTRIES_HELD, EVENTS,
    EVICTIONS, FALLBACK, IN_FLIGHT, IN_FLIGHT_BYTES, LEASES, NEAR_CACHE, NEAR_CACHE_BYTES,
    OPERATION_DURATION, OPERATIONS, PARKED, PENDING_REQUESTS, POOL, PUBSUB, RETRIES,
    RETRIES_DENIED, SLOW, STATE, SUBSCRIBERS, SYSTEM, TIMEOUTS, TOPICS, TRIPS, USE_TIME, WAIT_TIME,
};
use crate::{
    events::CircuitState,
    stats::{ConsumerTotals, DatabaseStats, DurationHistogram, SubscriptionStats, SupervisorStats},
};

const STATES: [&str; 6] = [
    "starting", "healthy", "degraded", "down", "isolated", "failed",
];

/// The recorder has the labels of one database.
struct Labels<'a>(&'a str);

impl Labels<'_> {
    fn all(&self) -> Vec<Label> {
        let pool = self.0.to_owned();
        vec![
            Label::from_static_parts(SYSTEM, "redis"),
            Label::new(POOL, pool),
        ]
    }

    fn with(&self, key: &'static str, value: &'static str) -> Vec<Label> {
        let mut labels = self.all();
        labels.push(Label::from_static_parts(key, value));
        labels
    }

    fn counter(&self, name: &'static str, added: u64) {
        counter!(name, self.all()).increment(added);
    }

    fn counter_of(&self, name: &'static str, key: &'static str, values: &[(&'static str, u64)]) {
        for (value, added) in values {
            counter!(name, self.with(key, value)).increment(*added);
        }
    }

    fn gauge(&self, name: &'static str, value: usize) {
        gauge!(name, self.all()).set(value as f64);
    }

    fn histogram(&self, name: &'static str, added: &DurationHistogram) {
        let recorder = histogram!(name, self.all());
        let mut lower = 0.0;
        for (bound, count) in added.buckets() {
            // Beyond the last bound, only the longest is known.
            let longest = added.max.as_secs_f64().max(lower);
            let upper = bound.map_or(longest, |bound| bound.as_secs_f64());
            let middle = bound.map_or(longest, |_| (lower + upper) / 2.0);
            if count > 0 {
                recorder.record_many(middle, usize::try_from(count).unwrap_or(usize::MAX));
            }
            lower = upper;
        }
    }
}

/// Hands over what was added to the counters, and the values of the moment.
pub(super) fn record(added: &SupervisorStats) {
    for (name, added) in &added.databases {
        record_database(&Labels(name), added);
    }
}

fn record_database(labels: &Labels<'_>, added: &DatabaseStats) {
    labels.histogram(OPERATION_DURATION, &added.latency);
    record_pool(labels, added);
    let outcomes = [
        ("succeeded", added.succeeded),
        ("error_reply", added.error_replies),
        ("timed_out", added.timed_out),
        ("lost", added.lost),
        ("cancelled", added.cancelled),
        ("refused", added.refused),
    ];
    labels.counter_of(OPERATIONS, "outcome", &outcomes);
    labels.counter(RETRIES, added.retried);
    labels.counter(RETRIES_DENIED, added.retries_denied);
    labels.counter(SLOW, added.slow);
    let bytes = [
        ("sent", added.bytes_sent),
        ("received", added.bytes_received),
    ];
    labels.counter_of(BYTES, "direction", &bytes);
    labels.gauge(IN_FLIGHT, added.in_flight);
    labels.gauge(IN_FLIGHT_BYTES, added.in_flight_bytes);
    record_state(labels, added.health.word());
    let circuit = match added.circuit {
        CircuitState::Closed => 0,
        CircuitState::HalfOpen => 1,
        CircuitState::Open => 2,
    };
    labels.gauge(CIRCUIT, circuit);
    labels.counter(CIRCUIT_CHANGES, added.circuit_changes);
    labels.counter(TRIPS, added.trips);
    labels.counter(EVENTS, added.events);
    let fallback = &added.fallback;
    let results = [
        ("served", fallback.served),
        ("stale", fallback.stale),
        ("replayed", fallback.recovery.replayed),
        ("discarded", fallback.recovery.discarded),
        ("dropped", fallback.recovery.dropped),
        ("refused", fallback.recovery.refused),
        ("in_doubt", fallback.recovery.in_doubt),
    ];
    labels.counter_of(FALLBACK, "result", &results);
    // Mostly there is none.
    if let Some(near_cache) = &added.near_cache {
        let events = [
            ("hit", near_cache.hits),
            ("miss", near_cache.misses),
            ("eviction", near_cache.evictions),
            ("invalidation", near_cache.invalidations),
        ];
        labels.counter_of(NEAR_CACHE, "event", &events);
        labels.gauge(NEAR_CACHE_BYTES, near_cache.bytes as usize);
    }
    record_subscriptions(labels, &added.subscriptions);
    record_consumers(labels, &added.consumers);
}

fn record_consumers(labels: &Labels<'_>, added: &ConsumerTotals) {
    labels.gauge(CONSUMERS, added.running);
    labels.gauge(ENTRIES_HELD, added.held);
    let events = [
        ("read", added.read),
        ("claimed", added.claimed),
        ("handled", added.handled),
        ("failed", added.failed),
        ("acknowledged", added.acknowledged),
        ("dead_lettered", added.dead_lettered),
        ("trimmed", added.trimmed),
    ];
    labels.counter_of(ENTRIES, "event", &events);
}

fn record_subscriptions(labels: &Labels<'_>, added: &SubscriptionStats) {
    labels.gauge(SUBSCRIBERS, added.subscribers);
    labels.gauge(TOPICS, added.topics);
    let events = [
        ("received", added.messages),
        ("delivered", added.delivered),
        ("dropped", added.dropped),
        ("gaps", added.gaps),
        ("refused", added.refused),
        ("opened", added.opened),
        ("failed", added.dial_failures),
        ("lost", added.lost),
    ];
    labels.counter_of(PUBSUB, "event", &events);
}

/// A database that was removed has no connections and no state any more.
pub(super) fn record_removed(database: &str) {
    let labels = Labels(database);
    for state in ["used", "idle"] {
        gauge!(CONNECTION_COUNT, labels.with(CONNECTION_STATE, state)).set(0.0);
    }
    for name in [
        CONNECTION_MAX,
        CONNECTION_IDLE_MAX,
        PENDING_REQUESTS,
        IN_FLIGHT,
        IN_FLIGHT_BYTES,
        PARKED,
        LEASES,
        SUBSCRIBERS,
        TOPICS,
        CONSUMERS,
        ENTRIES_HELD,
        CIRCUIT,
    ] {
        labels.gauge(name, 0);
    }
    record_state(&labels, "removed");
}

fn record_state(labels: &Labels<'_>, present: &str) {
    for state in STATES {
        let is_present = u8::from(state == present);
        gauge!(STATE, labels.with("state", state)).set(f64::from(is_present));
    }
}

fn record_pool(labels: &Labels<'_>, added: &DatabaseStats) {
    let pool = &added.pool;
    let used = (pool.open - pool.idle) as f64;
    gauge!(CONNECTION_COUNT, labels.with(CONNECTION_STATE, "used")).set(used);
    gauge!(CONNECTION_COUNT, labels.with(CONNECTION_STATE, "idle")).set(pool.idle as f64);
    labels.gauge(CONNECTION_MAX, pool.max);
    labels.gauge(CONNECTION_IDLE_MAX, pool.max);
    labels.gauge(PENDING_REQUESTS, pool.waiting + pool.parked);
    labels.gauge(PARKED, pool.parked);
    labels.gauge(LEASES, pool.in_use);
    labels.counter(TIMEOUTS, pool.acquire_timeouts);
    labels.histogram(CREATE_TIME, &pool.create_time);
    labels.histogram(WAIT_TIME, &pool.acquire_wait);
    labels.histogram(USE_TIME, &pool.use_time);
    let connections = [
        ("opened", pool.opened),
        ("failed", pool.dial_failures),
        ("lost", pool.lost),
        ("discarded", pool.discarded),
    ];
    labels.counter_of(CONNECTIONS, "event", &connections);
    let evictions = [
        ("idle", pool.evicted.idle),
        ("lifetime", pool.evicted.lifetime),
        ("spare", pool.evicted.spare),
        ("displaced", pool.evicted.displaced),
        ("outdated", pool.evicted.outdated),
        ("moved", pool.evicted.moved),
    ];
    labels.counter_of(EVICTIONS, "reason", &evictions);
}
