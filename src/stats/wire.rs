//! Statistics as JSON and the like. Durations are numbers of seconds, or of milliseconds where the name says so.

use std::time::{Duration, UNIX_EPOCH};

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{DatabaseStats, DurationHistogram, LastError, SupervisorStats};
use crate::events::TimeInState;

pub(crate) fn millis(duration: Duration) -> f64 {
    1_000.0 * duration.as_secs_f64()
}

/// A time that may be absent, as a number of seconds.
pub(super) fn seconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    duration
        .map(|duration| duration.as_secs_f64())
        .serialize(serializer)
}

/// With the totals that are methods in Rust.
impl Serialize for SupervisorStats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(8))?;
        map.serialize_entry("uptime_seconds", &self.uptime.as_secs_f64())?;
        map.serialize_entry("healthy_databases", &self.healthy())?;
        map.serialize_entry("degraded_databases", &self.degraded())?;
        map.serialize_entry("failed_databases", &self.failed())?;
        map.serialize_entry("commands", &self.commands())?;
        map.serialize_entry("failures", &self.failures())?;
        map.serialize_entry("overall_success_rate", &self.success_rate())?;
        map.serialize_entry("databases", &self.databases)?;
        map.end()
    }
}

/// With the totals that are methods in Rust.
impl Serialize for DatabaseStats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("state", &self.health)?;
        map.serialize_entry("reason", &self.health.reason())?;
        map.serialize_entry("state_seconds", &self.health_for.as_secs_f64())?;
        map.serialize_entry("cause", &self.cause.as_deref())?;
        map.serialize_entry("circuit_state", &self.circuit)?;
        map.serialize_entry("replica_of", &self.replica_of.as_deref())?;
        map.serialize_entry("node_of", &self.node_of.as_deref())?;
        map.serialize_entry("encryption", &self.encryption)?;
        map.serialize_entry("uptime_seconds", &self.uptime().as_secs_f64())?;
        map.serialize_entry("time_in_seconds", &self.time_in)?;
        map.serialize_entry("commands", &self.commands())?;
        map.serialize_entry("failures", &self.failures())?;
        map.serialize_entry("success_rate", &self.success_rate())?;
        for (key, counter) in [
            ("succeeded", self.succeeded),
            ("error_replies", self.error_replies),
            ("timed_out", self.timed_out),
            ("lost", self.lost),
            ("cancelled", self.cancelled),
            ("refused", self.refused),
            ("retried", self.retried),
            ("retries_denied", self.retries_denied),
            ("slow", self.slow),
            ("trips", self.trips),
            ("circuit_changes", self.circuit_changes),
            ("events", self.events),
            ("bytes_sent", self.bytes_sent),
            ("bytes_received", self.bytes_received),
        ] {
            map.serialize_entry(key, &counter)?;
        }
        map.serialize_entry("in_flight", &self.in_flight)?;
        map.serialize_entry("in_flight_bytes", &self.in_flight_bytes)?;
        map.serialize_entry("latency", &self.latency)?;
        map.serialize_entry("last_error", &self.last_error)?;
        map.serialize_entry("fallback", &self.fallback)?;
        map.serialize_entry("near_cache", &self.near_cache)?;
        map.serialize_entry("subscriptions", &self.subscriptions)?;
        map.serialize_entry("consumers", &self.consumers)?;
        map.serialize_entry("pool", &self.pool)?;
        map.end()
    }
}

/// The buckets that are not empty, each with its upper bound (`null` if there is none) and its count.
impl Serialize for DurationHistogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(6))?;
        map.serialize_entry("count", &self.count())?;
        map.serialize_entry("p50_ms", &self.p50().map(millis))?;
        map.serialize_entry("p95_ms", &self.p95().map(millis))?;
        map.serialize_entry("p99_ms", &self.p99().map(millis))?;
        map.serialize_entry("max_ms", &self.max().map(millis))?;
        let buckets = self.buckets().filter(|(_, count)| *count > 0);
        let buckets: Vec<_> = buckets
            .map(|(bound, count)| (bound.map(millis), count))
            .collect();
        map.serialize_entry("buckets_ms", &buckets)?;
        map.end()
    }
}

/// The time is in seconds since 1970.
impl Serialize for LastError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("text", &self.text)?;
        let at = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        map.serialize_entry("at", &at.as_secs_f64())?;
        map.end()
    }
}

impl Serialize for TimeInState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(6))?;
        for (state, time) in [
            ("starting", self.starting),
            ("healthy", self.healthy),
            ("degraded", self.degraded),
            ("down", self.down),
            ("isolated", self.isolated),
            ("failed", self.failed),
        ] {
            map.serialize_entry(state, &time.as_secs_f64())?;
        }
        map.end()
    }
}
