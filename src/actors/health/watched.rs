//! One database: its machine, and the state that both sides of it share.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use actix::{AsyncContext, Context};
use tokio::time::Instant;

use super::{HealthActor, recovery, tasks};
use crate::{
    config::{Address, DatabaseSettings},
    events::Change,
    identity::DatabaseId,
    messages::{Redial, Retire},
    net::{DialError, ServerInfo},
    policy::{
        gate_state::GateState,
        health::{
            Action, Counts, DatabaseHealth, Endpoint, Event, Fault, Found, Greeting, Limits, Status,
        },
    },
    registry::Registry,
    state::{DatabaseState, Outage},
};

/// A database that the health actor watches. It has no decision of its own.
pub(super) struct Watched {
    pub(super) database: Arc<DatabaseState>,
    health: DatabaseHealth,
    /// Those that the machine has the limits of.
    settings: Arc<DatabaseSettings>,
    /// No status was published yet.
    is_new: bool,
}

/// The endpoints of all databases.
pub(super) type Endpoints = HashMap<Address, Endpoint<DatabaseId>>;

impl Watched {
    pub(super) fn new(database: Arc<DatabaseState>) -> Self {
        let settings = database.settings.share();
        let found = Found {
            is_isolated: database.is_isolated.load(Relaxed),
            is_given_up: database.gate.state() == GateState::Failed,
            is_connected: database.parking.has_routes(),
            is_stood_in: database.local.is_standing_in(),
            is_cluster: settings.address.is_cluster(),
            counts: counts(&database),
        };
        let now = Instant::now().into_std();
        let mut health = DatabaseHealth::new(limits(&settings), found, now, fastrand::f64());
        health.gate_set(database.change_gate(health.gate_state()), now);
        database.answer_waiting();
        Self {
            database,
            health,
            settings,
            is_new: true,
        }
    }

    /// Compares the present settings with those that are known. Tells whether anything is to be done.
    pub(super) fn reconfigure(&mut self, endpoints: &mut Endpoints) -> bool {
        let present = self.database.settings.share();
        if !Arc::ptr_eq(&present, &self.settings) {
            let changes = self.settings.changes(&present);
            let needs_connections = self.settings.needs_new_connections(&changes, &present);
            if present.address != self.settings.address {
                self.leave_endpoint(endpoints);
            }
            self.settings = present;
            self.on(Event::Reconfigured {
                limits: limits(&self.settings),
                needs_connections,
            });
            return true;
        }
        self.is_new
    }

    pub(super) fn address(&self) -> &Address {
        &self.settings.address
    }

    /// It does not wait any more where it was.
    pub(super) fn leave_endpoint(&self, endpoints: &mut Endpoints) {
        if let Some(endpoint) = endpoints.get_mut(&self.settings.address) {
            endpoint.forget(&self.database.id);
        }
    }

    /// After a restart of the health actor a pool may wait for an order that the predecessor owed it.
    pub(super) fn make_up(&self) {
        if self.database.dial_error.load().is_some() {
            self.redial(Duration::ZERO);
        }
    }

    pub(super) fn on(&mut self, event: Event) {
        let now = Instant::now().into_std();
        // Commands that succeeded before the event break a series of failures. Failures bring theirs along, and a success
        // that came after a failure would be taken for an earlier one here.
        let is_failure = matches!(event, Event::CommandFailed { .. });
        if !is_failure && self.database.gate.take_success() {
            let event = Event::CommandSucceeded;
            self.health.on(event, now, fastrand::f64());
        }
        self.health.on(event, now, fastrand::f64());
    }

    /// Looks at the counters and at the clock.
    pub(super) fn look(&mut self) {
        self.on(Event::Observed(counts(&self.database)));
        self.on(Event::Tick);
    }

    /// Carries out all that the machine asks for.
    pub(super) fn settle(
        &mut self,
        endpoints: &mut Endpoints,
        registry: &Arc<Registry>,
        ctx: &mut Context<HealthActor>,
    ) {
        self.is_new = false;
        let mut is_gate_set = false;
        let now = Instant::now().into_std();
        while let Some(action) = self.health.poll(now) {
            match action {
                Action::SetGate(gate_state) => {
                    let epoch = self.database.change_gate(gate_state);
                    self.health.gate_set(epoch, now);
                    is_gate_set = true;
                }
                Action::AnnounceOutage {
                    reason,
                    cause,
                    next_probe,
                } => self.database.outage.store(Some(Arc::new(Outage {
                    reason,
                    cause,
                    next_probe: Instant::from_std(next_probe),
                }))),
                Action::StandIn => self.database.local.begin(),
                Action::Recover => {
                    let epoch = self.health.epoch();
                    recovery::recover(epoch, self.database.clone(), ctx.address());
                }
                Action::RetireConnections => self.retire(),
                Action::Redial(after) => self.redial(after),
                Action::Probe(after) => {
                    let epoch = self.health.epoch();
                    let database = self.database.clone();
                    tasks::probe(after, epoch, database, registry.clone(), ctx.address());
                }
                Action::AskConnection => {
                    let epoch = self.health.epoch();
                    tasks::ask(epoch, self.database.clone(), ctx.address());
                }
                Action::AwaitEndpoint => self.await_endpoint(endpoints, registry, ctx),
                Action::EndpointReached => {
                    if let Some(endpoint) = endpoints.get_mut(&self.settings.address) {
                        endpoint.reached(&self.database.id);
                    }
                }
                Action::WakeAfter(pause) => {
                    let database = self.database.id.clone();
                    ctx.run_later(pause, move |health, ctx| {
                        health.turn(&database, |_| Event::Tick, ctx);
                    });
                }
                Action::Publish(status) => self.publish(status, registry),
            }
        }
        if is_gate_set {
            self.database.answer_waiting();
        }
    }

    fn await_endpoint(
        &mut self,
        endpoints: &mut Endpoints,
        registry: &Arc<Registry>,
        ctx: &mut Context<HealthActor>,
    ) {
        let endpoint = endpoints.entry(self.settings.address.clone());
        let endpoint = endpoint.or_insert_with(Endpoint::new);
        let now = Instant::now().into_std();
        let (next_check, start) = endpoint.wait(self.database.id.clone(), now, fastrand::f64());
        if let Some(pause) = start {
            self.check(pause, registry, ctx);
        }
        self.health.checked_at(next_check, now);
    }

    /// Asks after a pause whether anything answers at its endpoint.
    pub(super) fn check(
        &self,
        pause: Duration,
        registry: &Arc<Registry>,
        ctx: &mut Context<HealthActor>,
    ) {
        let (settings, registry) = (self.settings.clone(), registry.clone());
        tasks::check(pause, &self.database, settings, registry, ctx.address());
    }

    fn redial(&self, after: Duration) {
        if let Some(pool) = &*self.database.pool.load() {
            pool.redial.do_send(Redial { after });
        }
    }

    fn retire(&self) {
        if let Some(pool) = &*self.database.pool.load() {
            pool.retire.do_send(Retire { only: None });
        }
    }

    fn publish(&self, status: Status, registry: &Registry) {
        if self.database.is_removed() {
            // Its last event was published.
            return;
        }
        let Status {
            state,
            circuit,
            cause,
            recovery,
        } = status;
        registry.publish(Change {
            database: self.database.name(),
            state,
            circuit,
            cause,
            recovery,
            now: Instant::now(),
        });
    }
}

/// Why a database could not be reached, with its address.
pub(super) fn fault(database: &DatabaseState, error: &DialError) -> Fault {
    Fault {
        reason: error.reason(),
        cause: Some(database.explain_dial(error)),
    }
}

pub(super) fn greeting(seen: ServerInfo) -> Greeting {
    Greeting {
        is_replica: seen.is_replica,
        cannot_save: seen.cannot_save,
    }
}

fn limits(settings: &DatabaseSettings) -> Limits {
    Limits {
        failure_threshold: settings.failure_threshold,
        recovery_timeout: settings.recovery_timeout,
        attempt_timeout: settings.attempt_timeout,
        check_interval: settings.health_check_interval,
        has_fallback: settings.fallback.is_some(),
    }
}

fn counts(database: &DatabaseState) -> Counts {
    Counts {
        calls: database.attempts() + database.counters.abandoned.load(Relaxed),
        slow: database.counters.slow.load(Relaxed),
        unanswered: database.counters.unanswered.load(Relaxed),
    }
}
