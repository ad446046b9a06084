//! One database at a moment.

use std::time::{Duration, SystemTime};

use redis_steward::{CircuitState, DatabaseStats, HealthState, LastError};
use serde_json::{Value, json};

use crate::output::Span;

/// What a watch shows of a database.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) state: HealthState,
    pub(super) circuit: CircuitState,
    /// Latencies of the watch's own calls since the sample before.
    pub(super) p50: Option<Duration>,
    pub(super) p99: Option<Duration>,
    /// Calls of the watch itself per second.
    pub(super) calls: f64,
    /// Commands of all clients of the server per second, if it tells.
    pub(super) load: Option<u64>,
    pub(super) in_flight: usize,
    pub(super) open: usize,
    pub(super) max: usize,
    pub(super) last_error: Option<LastError>,
}

impl Row {
    /// From the counters of now, and from those of the time since the sample before.
    pub(super) fn new(
        name: &str,
        now: &DatabaseStats,
        interval: &DatabaseStats,
        took: Duration,
        load: Option<u64>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            state: now.health.clone(),
            circuit: now.circuit,
            p50: interval.latency.p50(),
            p99: interval.latency.p99(),
            // Refused calls are no work of any server.
            calls: (interval.commands().saturating_sub(interval.refused)) as f64
                / took.as_secs_f64().max(0.001),
            load,
            in_flight: now.in_flight,
            open: now.pool.open,
            max: now.pool.max,
            last_error: now.last_error.clone(),
        }
    }

    pub(super) fn document(&self) -> Value {
        let millis = |time: Option<Duration>| time.map(|time| 1_000.0 * time.as_secs_f64());
        json!({
            "state": self.state,
            "reason": self.state.reason(),
            "circuit_state": self.circuit,
            "p50_ms": millis(self.p50),
            "p99_ms": millis(self.p99),
            "calls_per_second": self.calls,
            "server_commands_per_second": self.load,
            "in_flight": self.in_flight,
            "open_connections": self.open,
            "max_connections": self.max,
            "last_error": self.last_error,
        })
    }

    /// A few words, for a line about all databases.
    pub(super) fn summary(&self) -> String {
        let mut text = format!("{} {}", self.name, self.state.word());
        if let (Some(p50), Some(p99)) = (self.p50, self.p99) {
            text += &format!(" p50 {} p99 {}", Span(p50), Span(p99));
        }
        if let Some(load) = self.load {
            text += &format!(" {load}/s");
        }
        text
    }

    /// How long ago the last error was, and its text.
    pub(super) fn last_error(&self, now: SystemTime) -> String {
        let Some(last) = &self.last_error else {
            return String::new();
        };
        let ago = now.duration_since(last.at).unwrap_or_default();
        format!("{} s ago: {}", ago.as_secs(), last.text)
    }
}
