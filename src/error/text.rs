//! The parts of error messages that depend on what was found.

use std::{fmt, sync::Arc};

use crate::{events::CircuitState, execution::Stage, stats::PoolStats};

pub(super) fn in_all(attempts: &u32) -> String {
    match attempts {
        0 | 1 => String::new(),
        attempts => format!(" in {attempts} attempts"),
    }
}

/// Who else is there, where that may be what a command has waited for.
pub(super) fn crowd(stage: &Stage, in_flight: &usize, parked: &usize, pool: &PoolStats) -> String {
    match (stage, parked, in_flight) {
        (Stage::Acquire, _, _) => format!(
            "; of max_connections = {} there are {} leased, {} shared, {} idle, {} opening and {} \
             closing, and {}",
            pool.max,
            pool.in_use,
            pool.shared,
            pool.idle,
            pool.opening,
            pool.closing,
            waiting(pool.waiting, "")
        ),
        (Stage::Connect, 1.., _) => format!("; {}", waiting(*parked, " for a connection")),
        (Stage::Queue, _, 1) => "; 1 other is in flight".to_owned(),
        (Stage::Queue, _, 2..) => format!("; {in_flight} others are in flight"),
        _ => String::new(),
    }
}

pub(super) fn waiting(others: usize, what_for: &str) -> String {
    match others {
        1 => format!("1 other waits{what_for}"),
        others => format!("{others} others wait{what_for}"),
    }
}

pub(super) fn unless_closed(circuit: &CircuitState) -> String {
    match circuit {
        CircuitState::Closed => String::new(),
        other => format!("; the circuit is {other}"),
    }
}

pub(super) fn because(last_error: &Option<Arc<str>>) -> String {
    match last_error {
        Some(error) => format!(" (last attempt: {error})"),
        None => String::new(),
    }
}

pub(super) struct Listed<'a>(pub(super) &'a [Arc<str>], pub(super) &'static str);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { self.1 };
            write!(f, "{separator}{name}")?;
        }
        Ok(())
    }
}
