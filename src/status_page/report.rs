//! The data of the page as JSON.

use std::{collections::BTreeMap, time::UNIX_EPOCH};

use serde::Serialize;

use crate::{
    events::{
        CircuitState, EventPlace, Failover, Handoff, HealthEvent, HealthState, Reason, Recovery,
    },
    stats::{DatabaseStats, SupervisorStats},
};

/// What a report tells of the past.
pub(super) struct Told {
    pub(super) events: Vec<HealthEvent>,
    /// After these.
    pub(super) place: EventPlace,
    /// Whether no event is missing before them, unless one of them tells so.
    pub(super) is_continued: bool,
}

/// All databases at a moment, and what happened before it.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    statistics: &'a SupervisorStats,
    has_actions: bool,
    interval: Option<Interval<'a>>,
    events: Vec<Event<'a>>,
    place: String,
    is_continued: bool,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        statistics: &'a SupervisorStats,
        interval: Option<&'a SupervisorStats>,
        told: &'a Told,
        has_actions: bool,
    ) -> Self {
        Self {
            statistics,
            has_actions,
            interval: interval.map(Interval::from),
            events: told.events.iter().map(Event::from).collect(),
            place: told.place.to_string(),
            is_continued: told.is_continued,
        }
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("BUG: numbers, texts and maps of them are JSON")
    }
}

/// The time since the last report of a stream, a second unless its reader is slow.
#[derive(Serialize)]
struct Interval<'a> {
    seconds: f64,
    databases: BTreeMap<&'a str, Point>,
}

impl<'a> From<&'a SupervisorStats> for Interval<'a> {
    fn from(interval: &'a SupervisorStats) -> Self {
        let databases = interval.databases.iter();
        Self {
            seconds: interval.uptime.as_secs_f64(),
            databases: databases
                .map(|(name, stats)| (name.as_str(), Point::from(stats)))
                .collect(),
        }
    }
}

/// One database in an interval. Latencies are `null` if no command got a reply.
#[derive(Serialize)]
struct Point {
    commands: u64,
    failures: u64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
}

impl From<&DatabaseStats> for Point {
    fn from(stats: &DatabaseStats) -> Self {
        let quantile = |share| {
            let quantile = stats.latency.quantile(share)?;
            Some(1_000.0 * quantile.as_secs_f64())
        };
        Self {
            commands: stats.commands(),
            failures: stats.failures(),
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
        }
    }
}

#[derive(Serialize)]
struct Event<'a> {
    sequence: u64,
    missed: u64,
    /// In seconds since 1970.
    at: f64,
    database: &'a str,
    state: &'a HealthState,
    reason: Option<Reason>,
    circuit_state: CircuitState,
    cause: Option<&'a str>,
    recovery: Option<&'a Recovery>,
    changed: &'a [&'static str],
    failover: Option<&'a Failover>,
    handoff: Option<&'a Handoff>,
    /// All of it for people.
    text: String,
}

impl<'a> From<&'a HealthEvent> for Event<'a> {
    fn from(event: &'a HealthEvent) -> Self {
        let at = event.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            sequence: event.sequence,
            missed: event.missed,
            at: at.as_secs_f64(),
            database: &event.database,
            state: &event.state,
            reason: event.state.reason(),
            circuit_state: event.circuit,
            cause: event.cause.as_deref(),
            recovery: event.recovery.as_ref(),
            changed: &event.changed,
            failover: event.failover.as_ref(),
            handoff: event.handoff.as_ref(),
            text: event.to_string(),
        }
    }
}
