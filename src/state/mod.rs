//! The state of one database that actors and callers share: its only atomics and locks.
//!
//! The actors publish here: the pool its routes, the health actor the state of the circuit, the supervisor
//! the addresses of the actors. Callers read. Decisions are made elsewhere.

pub(crate) mod clock;
mod counters;
mod gate;
mod outage;
mod permits;
mod routes;
mod settings;
mod survey;
mod waits;

pub(crate) use counters::{Counters, count};
pub(crate) use gate::{Admitted, Gate};
pub(crate) use outage::Outage;
pub(crate) use permits::{Permit, Permits};
pub(crate) use routes::{Route, Routes};
pub(crate) use settings::{CallSettings, SettingsCell};
pub(crate) use survey::Survey;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

use actix::Recipient;
use arc_swap::ArcSwapOption;

use crate::{
    config::DatabaseSettings,
    messages::{Evidence, PoolLink, Report},
    net::{DialError, Dialler, InFlight},
    policy::{gate_state::GateState, retry::Budget},
    stats::PoolStats,
};

/// The state of one database. It outlives every actor: a restart publishes to the same one.
#[derive(Debug)]
pub(crate) struct DatabaseState {
    pub(crate) name: Arc<str>,
    pub(crate) settings: SettingsCell,
    /// The way to its server.
    pub(crate) dialler: Dialler,
    pub(crate) gate: Arc<Gate>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) counters: Arc<Counters>,
    /// The shared connections; `None` while none is ready.
    pub(crate) routes: ArcSwapOption<Routes>,
    /// The rights to have connections, and their counts.
    pub(crate) permits: Arc<Permits>,
    pub(crate) pool: ArcSwapOption<PoolLink>,
    pub(crate) health: ArcSwapOption<Recipient<Report>>,
    /// The reason of an open circuit, and the time of its next probe.
    pub(crate) outage: ArcSwapOption<Outage>,
    /// The error of the last attempt to connect, until one succeeds.
    pub(crate) dial_error: ArcSwapOption<Arc<str>>,
    /// Whether an operator has isolated the database. Kept here, because it outlasts crashes of all actors.
    pub(crate) is_isolated: AtomicBool,
    /// The classes of commands that are on no list, as the server describes them.
    pub(crate) survey: Survey,
    /// The budget of retries. Only failed calls take the lock.
    budget: Mutex<Budget>,
}

impl DatabaseState {
    pub(crate) fn new(
        settings: Arc<DatabaseSettings>,
        dialler: Dialler,
        now: Instant,
    ) -> Arc<Self> {
        Arc::new(Self {
            dialler,
            gate: Gate::new(),
            in_flight: InFlight::new(settings.max_in_flight, settings.max_in_flight_bytes),
            counters: Arc::default(),
            routes: ArcSwapOption::empty(),
            permits: Permits::new(settings.max_connections, settings.shared_min),
            pool: ArcSwapOption::empty(),
            health: ArcSwapOption::empty(),
            outage: ArcSwapOption::empty(),
            dial_error: ArcSwapOption::empty(),
            is_isolated: AtomicBool::new(false),
            survey: Survey::default(),
            budget: Mutex::new(Budget::new(now)),
            name: settings.name.clone(),
            settings: SettingsCell::new(settings),
        })
    }

    pub(crate) fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// Whether a command would find an open connection.
    pub(crate) fn is_connected(&self) -> bool {
        let admits = matches!(self.gate.state(), GateState::Free | GateState::Trial { .. });
        admits && self.routes.load().is_some()
    }

    /// Whether no connection is open because the last dial failed.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.routes.load().is_none() && self.dial_error.load().is_some()
    }

    pub(crate) fn pool_stats(&self) -> PoolStats {
        self.counters.pool(&self.permits)
    }

    /// Sends evidence to the health actor. Between its crash and its restart the evidence is lost.
    pub(crate) fn report(&self, evidence: Evidence) {
        if let Some(health) = &*self.health.load() {
            health.do_send(Report {
                database: self.name(),
                evidence,
            });
        }
    }

    /// The error of a dial, with the address.
    pub(crate) fn explain_dial(&self, error: &DialError) -> Arc<str> {
        format!("{}: {error}", self.settings.load().address).into()
    }

    /// Takes one retry from the budget, and tells whether there was one.
    pub(crate) fn withdraw_retry(&self, now: Instant) -> bool {
        // A panic elsewhere cannot have left it half-changed.
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        budget.withdraw(self.calls(), now)
    }

    /// Attempts that have ended, on a connection or waiting for one.
    pub(crate) fn attempts(&self) -> u64 {
        let counters = &self.counters;
        let ended = [
            &counters.succeeded,
            &counters.error_replies,
            &counters.timed_out,
            &counters.lost,
        ];
        ended.iter().map(|counter| counter.load(Relaxed)).sum()
    }

    /// Calls that were admitted and have ended.
    fn calls(&self) -> u64 {
        let retried = self.counters.retried.load(Relaxed);
        self.attempts().saturating_sub(retried)
    }
}
