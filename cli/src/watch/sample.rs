//! The numbers of a moment.

use std::time::Duration;

use redis_steward::{DatabaseStats, Supervisor, SupervisorStats};

use super::{pulse::Pulse, row::Row};

/// Takes samples, each of the time since the one before.
#[derive(Debug)]
pub(super) struct Sampler {
    supervisor: Supervisor,
    before: SupervisorStats,
    pulse: Pulse,
}

/// All databases at a moment.
#[derive(Debug)]
pub(super) struct Sample {
    /// The time since the sample before.
    pub(super) took: Duration,
    pub(super) rows: Vec<Row>,
}

impl Sampler {
    pub(super) fn new(supervisor: Supervisor, pulse: Pulse) -> Self {
        Self {
            before: supervisor.statistics(),
            supervisor,
            pulse,
        }
    }

    pub(super) fn take(&mut self) -> Sample {
        let now = self.supervisor.statistics();
        let interval = now.since(&self.before);
        let row = |(name, stats): (&String, &DatabaseStats)| {
            let since = interval.databases.get(name)?;
            let load = self.pulse.load(name);
            Some(Row::new(name, stats, since, interval.uptime, load))
        };
        let rows = now.databases.iter().filter_map(row).collect();
        self.before = now;
        Sample {
            took: interval.uptime,
            rows,
        }
    }
}
