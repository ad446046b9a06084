//! The fault script: faults of one database, in an order that the seed determines.

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use redis_steward::{CircuitState, HealthState, Supervisor};

use crate::{
    common::wait::poll,
    faults::Fault,
    invariants::{Invariant, check},
    site::Site,
    stage::Stage,
};

/// A database is healthy within this time after the last fault.
pub(crate) const RECOVERY: Duration = Duration::from_secs(10);

/// The most dials of a pool during a fault.
const DIALS: u64 = 100;

/// Injects faults one after the other until the end of faults.
pub(crate) struct Script {
    pub(crate) site: Arc<Site>,
    pub(crate) supervisor: Supervisor,
    pub(crate) stage: Arc<Stage>,
    pub(crate) random: Rng,
    pub(crate) started: Instant,
}

/// The number of strikes of each fault, and the longest recovery.
pub(crate) struct Played {
    pub(crate) strikes: BTreeMap<Fault, u32>,
    pub(crate) slowest: Duration,
}

impl Script {
    pub(crate) fn play(mut self) -> Played {
        let mut played = Played {
            strikes: BTreeMap::new(),
            slowest: Duration::ZERO,
        };
        let mut deck = Vec::new();
        while !self.stage.faults_have_ended() {
            // Every kind occurs once before any repeats.
            if deck.is_empty() {
                deck = Fault::all(&self.site);
                self.random.shuffle(&mut deck);
            }
            let fault = deck.pop().expect("BUG: there are faults");
            let (at, name, before) = (self.started.elapsed(), self.site.name, self.dials());
            fault.strike(&self.site, &self.supervisor, &mut self.random);
            let (healed, dials) = (self.started.elapsed(), self.dials_since(&before));
            println!("{at:>9.3?} to {healed:>9.3?}  {name}: {fault:?}, {dials} dials");
            let are_few = check(Invariant::Connections, dials <= DIALS, || {
                format!("{name} was dialled {dials} times during {fault:?}")
            });
            self.stage.record(are_few, String::new);
            *played.strikes.entry(fault).or_default() += 1;
            // The next fault may strike during the recovery from this one.
            if self.random.bool() {
                played.slowest = played.slowest.max(self.recover(fault));
            }
            thread::sleep(Duration::from_millis(self.random.u64(0..500)));
        }
        played
    }

    /// The number of dials of each pool: that of the database, and those of the nodes of a cluster.
    fn dials(&self) -> BTreeMap<String, u64> {
        let databases = self.supervisor.statistics().databases.into_iter();
        let own = databases.filter(|(name, _)| self.site.has(name));
        own.map(|(name, stats)| (name, stats.pool.opened + stats.pool.dial_failures))
            .collect()
    }

    /// The dials since then of the pool with the most. A node may have come meanwhile, or have begun anew.
    fn dials_since(&self, before: &BTreeMap<String, u64>) -> u64 {
        let since = |(name, now): (String, u64)| {
            let before = before.get(&name).filter(|before| **before <= now);
            now - before.copied().unwrap_or_default()
        };
        self.dials()
            .into_iter()
            .map(since)
            .max()
            .unwrap_or_default()
    }

    /// Waits until the database is healthy. Returns the time that this took.
    fn recover(&self, fault: Fault) -> Duration {
        let start = Instant::now();
        let every = Duration::from_millis(5);
        let recovered = poll(RECOVERY, every, || {
            let stats = self.supervisor.statistics();
            let stats = &stats.databases[self.site.name];
            let is_well = stats.health == HealthState::Healthy;
            (is_well && stats.circuit == CircuitState::Closed).then_some(())
        });
        let recovered = check(Invariant::Recovery, recovered.is_some(), || {
            let stats = self.supervisor.statistics();
            let stats = &stats.databases[self.site.name];
            format!(
                "{} is not healthy after {fault:?}: {stats:?}",
                self.site.name
            )
        });
        self.stage.record(recovered, String::new);
        start.elapsed()
    }
}
