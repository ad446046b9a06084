//! The parts of error messages that depend on the state of the database.

use std::{fmt, sync::Arc};

use crate::{events::CircuitState, execution::Stage, nearest::nearest, stats::PoolStats};

pub(super) fn in_attempts(attempts: &u32) -> String {
    match attempts {
        0 | 1 => String::new(),
        attempts => format!(" in {attempts} attempts"),
    }
}

/// The load of the database, at the stages where it may be the reason of the wait.
pub(super) fn load(stage: &Stage, in_flight: &usize, parked: &usize, pool: &PoolStats) -> String {
    match (stage, parked, in_flight) {
        (Stage::Acquire, _, _) => format!(
            "; max_connections = {}: {} leased, {} shared, {} idle, {} opening, {} closing; {}",
            pool.max,
            pool.in_use,
            pool.shared,
            pool.idle,
            pool.opening,
            pool.closing,
            waiting(pool.waiting, "")
        ),
        (Stage::Connect, 1.., _) => format!("; {}", waiting(*parked, " for a connection")),
        (Stage::Queue, _, 1) => "; 1 other command is in flight".to_owned(),
        (Stage::Queue, _, 2..) => format!("; {in_flight} other commands are in flight"),
        _ => String::new(),
    }
}

pub(super) fn waiting(callers: usize, purpose: &str) -> String {
    match callers {
        1 => format!("1 other caller waits{purpose}"),
        callers => format!("{callers} other callers wait{purpose}"),
    }
}

pub(super) fn circuit_unless_closed(circuit: &CircuitState) -> String {
    match circuit {
        CircuitState::Closed => String::new(),
        other => format!("; the circuit is {other}"),
    }
}

pub(super) fn last(last_error: &Option<Arc<str>>) -> String {
    match last_error {
        Some(error) => format!(" (last error: {error})"),
        None => String::new(),
    }
}

pub(super) fn unknown(name: &str, known: &[Arc<str>]) -> String {
    if known.iter().any(|known| **known == *name) {
        return format!(
            "the database {name:?} of this handle was removed; there is another one of that name, so take another \
             handle"
        );
    }
    let near = nearest(name, known.iter().map(|known| &**known));
    let meant = near.map_or(String::new(), |near| format!(" (did you mean {near:?}?)"));
    let known = Listed(known, ", ");
    format!("there is no database {name:?}{meant}; the configured ones are {known}")
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
