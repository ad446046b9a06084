//! Changes of health, for people and as JSON.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use redis_steward::{HealthEvent, HealthState};
use serde_json::{Value, json};

use crate::output::{Colour, Paint};

/// A line about a change.
pub(crate) fn line(event: &HealthEvent, paint: Paint) -> String {
    let mark = paint.apply(colour(&event.state), "●");
    format!("{} {mark} {event}", Clock(event.at))
}

/// A change as JSON.
pub(crate) fn document(event: &HealthEvent) -> Value {
    json!({
        "type": "event",
        "at": seconds(event.at),
        "database": &*event.database,
        "state": event.state,
        "reason": event.state.reason(),
        "circuit_state": event.circuit,
        "cause": event.cause.as_deref(),
        "changed": &*event.changed,
        "failover": event.failover.as_ref().map(ToString::to_string),
        "handoff": event.handoff.as_ref().map(ToString::to_string),
        "recovery": event.recovery.as_ref().map(ToString::to_string),
        "sequence": event.sequence,
        "missed": event.missed,
    })
}

pub(crate) fn colour(state: &HealthState) -> Colour {
    match state {
        HealthState::Healthy => Colour::Good,
        HealthState::Starting | HealthState::Degraded { .. } | HealthState::Isolated => {
            Colour::Doubtful
        }
        _ => Colour::Bad,
    }
}

/// Seconds since 1970.
pub(crate) fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

/// The time of day in UTC, such as `16:08:34Z`.
pub(crate) struct Clock(pub(crate) SystemTime);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs() % 86_400;
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{hours:02}:{minutes:02}:{seconds:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_clock_is_that_of_the_day() {
        let at = |seconds| Clock(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
        assert_eq!(at(0), "00:00:00Z");
        assert_eq!(at(86_400 + 3_661), "01:01:01Z");
    }
}
