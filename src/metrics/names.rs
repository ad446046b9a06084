//! The names of the metrics, and their descriptions.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

pub(super) const POOL: &str = "db.client.connection.pool.name";
pub(super) const SYSTEM: &str = "db.system.name";
pub(super) const CONNECTION_STATE: &str = "db.client.connection.state";

pub(super) const OPERATION_DURATION: &str = "db.client.operation.duration";
pub(super) const CONNECTION_COUNT: &str = "db.client.connection.count";
pub(super) const CONNECTION_MAX: &str = "db.client.connection.max";
pub(super) const CONNECTION_IDLE_MAX: &str = "db.client.connection.idle.max";
pub(super) const PENDING_REQUESTS: &str = "db.client.connection.pending_requests";
pub(super) const TIMEOUTS: &str = "db.client.connection.timeouts";
pub(super) const CREATE_TIME: &str = "db.client.connection.create_time";
pub(super) const WAIT_TIME: &str = "db.client.connection.wait_time";
pub(super) const USE_TIME: &str = "db.client.connection.use_time";

pub(super) const OPERATIONS: &str = "redis_steward.operations";
pub(super) const RETRIES: &str = "redis_steward.retries";
pub(super) const RETRIES_DENIED: &str = "redis_steward.retries_denied";
pub(super) const SLOW: &str = "redis_steward.slow";
pub(super) const BYTES: &str = "redis_steward.bytes";
pub(super) const IN_FLIGHT: &str = "redis_steward.in_flight";
pub(super) const IN_FLIGHT_BYTES: &str = "redis_steward.in_flight_bytes";
pub(super) const PARKED: &str = "redis_steward.parked";
pub(super) const STATE: &str = "redis_steward.state";
pub(super) const CIRCUIT: &str = "redis_steward.circuit";
pub(super) const CIRCUIT_CHANGES: &str = "redis_steward.circuit_changes";
pub(super) const TRIPS: &str = "redis_steward.trips";
pub(super) const EVENTS: &str = "redis_steward.events";
pub(super) const CONNECTIONS: &str = "redis_steward.connections";
pub(super) const EVICTIONS: &str = "redis_steward.evictions";
pub(super) const LEASES: &str = "redis_steward.leases";
pub(super) const FALLBACK: &str = "redis_steward.fallback";
pub(super) const NEAR_CACHE: &str = "redis_steward.near_cache";
pub(super) const NEAR_CACHE_BYTES: &str = "redis_steward.near_cache_bytes";
pub(super) const PUBSUB: &str = "redis_steward.pubsub";
pub(super) const SUBSCRIBERS: &str = "redis_steward.subscribers";
pub(super) const TOPICS: &str = "redis_steward.topics";
pub(super) const CONSUMERS: &str = "redis_steward.consumers";
pub(super) const ENTRIES: &str = "redis_steward.entries";
pub(super) const ENTRIES_HELD: &str = "redis_steward.entries_held";

/// Tells the recorder of the program what they mean.
pub(super) fn describe() {
    for (name, meaning) in [
        (
            OPERATION_DURATION,
            "Time from the call of a command to its reply.",
        ),
        (CREATE_TIME, "Time that it took to open a connection."),
        (
            WAIT_TIME,
            "Time that callers waited for a connection of their own.",
        ),
        (
            USE_TIME,
            "Time that callers kept a connection of their own.",
        ),
    ] {
        describe_histogram!(name, Unit::Seconds, meaning);
    }
    for (name, meaning) in [
        (CONNECTION_COUNT, "Connections by state."),
        (CONNECTION_MAX, "The most connections that may be open."),
        (
            CONNECTION_IDLE_MAX,
            "The most connections that may be idle.",
        ),
        (PENDING_REQUESTS, "Callers that wait for a connection."),
        (IN_FLIGHT, "Commands between their call and their reply."),
        (PARKED, "Commands that wait for a shared connection."),
        (STATE, "1 for the present state, 0 for all others."),
        (
            CIRCUIT,
            "State of the circuit: 0 closed, 1 half-open, 2 open.",
        ),
        (LEASES, "Connections that are leased."),
        (SUBSCRIBERS, "Subscriptions that exist."),
        (TOPICS, "Channels and patterns with a subscriber."),
        (CONSUMERS, "Consumers of streams that run."),
        (
            ENTRIES_HELD,
            "Entries of streams that were delivered and are not acknowledged.",
        ),
    ] {
        describe_gauge!(name, Unit::Count, meaning);
    }
    describe_gauge!(
        IN_FLIGHT_BYTES,
        Unit::Bytes,
        "Size of the commands in flight."
    );
    describe_gauge!(
        NEAR_CACHE_BYTES,
        Unit::Bytes,
        "Memory of what the near cache keeps."
    );
    for (name, meaning) in [
        (TIMEOUTS, "Waits for a connection that were in vain."),
        (OPERATIONS, "Commands that have ended, by outcome."),
        (RETRIES, "Attempts that were repeated."),
        (
            RETRIES_DENIED,
            "Attempts that were not repeated because the retry budget was used up.",
        ),
        (SLOW, "Commands that were unanswered for long."),
        (CIRCUIT_CHANGES, "Changes of the circuit."),
        (TRIPS, "How often the circuit has opened."),
        (EVENTS, "Health events."),
        (
            CONNECTIONS,
            "Connections that were opened or ended, and dials that failed.",
        ),
        (
            EVICTIONS,
            "Connections that were closed though nothing was wrong, by reason.",
        ),
        (
            PUBSUB,
            "Messages of subscribers, their gaps, and the fate of their connection.",
        ),
        (ENTRIES, "Entries of streams, and what became of them."),
        (FALLBACK, "What a fallback has done in place of the server."),
        (NEAR_CACHE, "Reads and keys of the near cache."),
    ] {
        describe_counter!(name, Unit::Count, meaning);
    }
    describe_counter!(
        BYTES,
        Unit::Bytes,
        "Bytes sent to the server and received from it."
    );
}
