//! The supervisor's children: their start, their end, and their restart.

use std::{sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::time::Instant;

use super::SupervisorActor;
use crate::{
    actors::{
        exit_guard::ExitGuard, health::HealthActor, janitor::JanitorActor, pool::PoolActor,
        relay::RelayActor,
    },
    execution::Execution,
    log::log_line,
    messages::{Child, ChildExited, Evidence, PoolLink},
    net::Failure,
    policy::{gate_state::GateState, restarts::Decision},
    state::{DatabaseState, count},
};

/// The pause before an indispensable actor is restarted after repeated crashes.
const LONG_PAUSE: Duration = Duration::from_secs(10);

impl SupervisorActor {
    /// Starts the pools first, because the other actors send to them.
    pub(super) fn start_children(&mut self, ctx: &mut Context<Self>) {
        for state in self.registry.states() {
            self.start_pool(&state, ctx);
            self.start_relay(&state, ctx);
        }
        self.start_health(ctx);
        self.start_janitor(ctx);
    }

    fn start_pool(&mut self, state: &Arc<DatabaseState>, ctx: &mut Context<Self>) {
        let name = state.name();
        let guard = ExitGuard::new(Child::Pool(name.clone()), ctx.address().recipient());
        let pool = PoolActor::new(state.clone(), self.registry.clone(), guard).start();
        state.pool.store(Some(Arc::new(PoolLink {
            parked: pool.clone().recipient(),
            release: pool.clone().recipient(),
            acquire: pool.clone().recipient(),
            redial: pool.clone().recipient(),
            retire: pool.clone().recipient(),
            sweep: pool.clone().recipient(),
        })));
        // It was told of in vain what its predecessor had not done.
        state.parking.open();
        self.pools.insert(name, pool);
    }

    fn start_relay(&mut self, state: &Arc<DatabaseState>, ctx: &mut Context<Self>) {
        let guard = ExitGuard::new(Child::Relay(state.name()), ctx.address().recipient());
        let relay = RelayActor::new(state.clone(), self.registry.clone(), guard).start();
        state.relay.store(Some(Arc::new(relay.clone().recipient())));
        self.relays.insert(state.name(), relay);
    }

    fn start_health(&mut self, ctx: &mut Context<Self>) {
        let guard = ExitGuard::new(Child::Health, ctx.address().recipient());
        let health = HealthActor::new(self.registry.clone(), guard).start();
        for state in self.registry.states() {
            let reports = health.clone().recipient();
            state.health.store(Some(Arc::new(reports)));
        }
        self.health = Some(health);
    }

    fn start_janitor(&mut self, ctx: &mut Context<Self>) {
        let janitor = JanitorActor {
            registry: self.registry.clone(),
            _guard: ExitGuard::new(Child::Janitor, ctx.address().recipient()),
        };
        self.janitor = Some(janitor.start());
    }

    pub(super) fn restart(&mut self, child: &Child, ctx: &mut Context<Self>) {
        if self.is_stopping {
            return;
        }
        match child {
            Child::Health => self.start_health(ctx),
            Child::Janitor => self.start_janitor(ctx),
            Child::Relay(name) => {
                let state = self.registry.databases.get(name);
                if let Some(state) = state.map(|state| state.value().clone()) {
                    self.start_relay(&state, ctx);
                }
            }
            Child::Pool(name) => {
                let state = self.registry.databases.get(name);
                if let Some(state) = state.map(|state| state.value().clone()) {
                    count(&state.counters.restarts);
                    self.start_pool(&state, ctx);
                    state.report(Evidence::Restarted);
                }
            }
        }
    }

    /// Stops restarting a pool that crashes repeatedly. Its database has failed until it is revived.
    fn give_up(&self, name: &Arc<str>) {
        let database = name.clone();
        log_line!(
            self.registry.log,
            ERROR,
            database = &*database,
            "its pool crashes repeatedly, and is given up"
        );
        if let Some(state) = self.registry.databases.get(name) {
            state.set_gate(GateState::Failed);
            state.close(Failure::Abandoned(Execution::NotSent));
            state.report(Evidence::GivenUp);
        }
    }
}

impl Handler<ChildExited> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, ChildExited(child): ChildExited, ctx: &mut Self::Context) {
        if self.is_stopping {
            return;
        }
        let restarts = self.restarts.entry(child.clone()).or_default();
        match restarts.crashed(Instant::now().into_std()) {
            Decision::RestartAfter(pause) => {
                let crashed = child.clone();
                log_line!(
                    self.registry.log,
                    WARN,
                    child = ?crashed,
                    ?pause,
                    "crashed, and is started again"
                );
                ctx.run_later(pause, move |supervisor, ctx| {
                    supervisor.restart(&child, ctx)
                });
            }
            Decision::GiveUp => match &child {
                Child::Pool(name) => self.give_up(name),
                // These are never given up: without the health actor no circuit would change again, without
                // the janitor no idle connection would be closed, and without the relay no message handled.
                Child::Health | Child::Janitor | Child::Relay(_) => {
                    let crashed = child.clone();
                    log_line!(
                        self.registry.log,
                        ERROR,
                        child = ?crashed,
                        "crashes repeatedly, and is started again later"
                    );
                    ctx.run_later(LONG_PAUSE, move |supervisor, ctx| {
                        supervisor.restart(&child, ctx);
                    });
                }
            },
        }
    }
}
