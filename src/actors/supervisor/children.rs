//! The supervisor's children: their start, their end, and their restart.

use std::{sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::time::Instant;

use super::SupervisorActor;
use crate::{
    actors::{
        clusters::ClustersActor, exit_guard::ExitGuard, health::HealthActor, janitor::JanitorActor,
        pool::PoolActor, relay::RelayActor, replicas::ReplicasActor, sentinels::SentinelsActor,
        subscribers::SubscribersActor,
    },
    execution::Execution,
    identity::DatabaseId,
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
        self.start_sentinels(ctx);
        self.start_replicas(ctx);
        self.start_clusters(ctx);
        self.start_subscribers(ctx);
    }

    pub(super) fn start_pool(&mut self, state: &Arc<DatabaseState>, ctx: &mut Context<Self>) {
        let id = state.id.clone();
        let guard = ExitGuard::new(Child::Pool(id.clone()), ctx.address().recipient());
        let pool = PoolActor::new(state.clone(), self.registry.clone(), guard).start();
        state.pool.store(Some(Arc::new(PoolLink {
            parked: pool.clone().recipient(),
            release: pool.clone().recipient(),
            acquire: pool.clone().recipient(),
            redial: pool.clone().recipient(),
            retire: pool.clone().recipient(),
            moved: pool.clone().recipient(),
            sweep: pool.clone().recipient(),
        })));
        // It was told of in vain what its predecessor had not done.
        state.parking.open();
        self.pools.insert(id, pool);
    }

    pub(super) fn start_relay(&mut self, state: &Arc<DatabaseState>, ctx: &mut Context<Self>) {
        let guard = ExitGuard::new(Child::Relay(state.id.clone()), ctx.address().recipient());
        let relay = RelayActor::new(state.clone(), self.registry.clone(), guard).start();
        state.relay.store(Some(Arc::new(relay.clone().recipient())));
        self.relays.insert(state.id.clone(), relay);
    }

    fn start_health(&mut self, ctx: &mut Context<Self>) {
        let guard = ExitGuard::new(Child::Health, ctx.address().recipient());
        let health = HealthActor::new(self.registry.clone(), guard).start();
        self.health = Some(health);
        for state in self.registry.states() {
            self.connect_health(&state);
        }
    }

    /// From now on evidence about the database gets to the health actor.
    pub(super) fn connect_health(&self, state: &DatabaseState) {
        if let Some(health) = &self.health {
            let reports = health.clone().recipient();
            state.health.store(Some(Arc::new(reports)));
        }
    }

    fn start_janitor(&mut self, ctx: &mut Context<Self>) {
        let guard = ExitGuard::new(Child::Janitor, ctx.address().recipient());
        let janitor = JanitorActor::new(self.registry.clone(), guard);
        self.janitor = Some(janitor.start());
    }

    fn start_sentinels(&mut self, ctx: &mut Context<Self>) {
        let guard = ExitGuard::new(Child::Sentinels, ctx.address().recipient());
        let sentinels = SentinelsActor::new(self.registry.clone(), guard);
        self.sentinels = Some(sentinels.start());
    }

    fn start_replicas(&mut self, ctx: &mut Context<Self>) {
        let guard = ExitGuard::new(Child::Replicas, ctx.address().recipient());
        let supervisor = ctx.address().recipient();
        let replicas = ReplicasActor::new(self.registry.clone(), supervisor, guard);
        self.replicas = Some(replicas.start());
    }

    fn start_clusters(&mut self, ctx: &mut Context<Self>) {
        let guard = ExitGuard::new(Child::Clusters, ctx.address().recipient());
        let supervisor = ctx.address().recipient();
        let clusters = ClustersActor::new(self.registry.clone(), supervisor, guard);
        self.clusters = Some(clusters.start());
        for state in self.registry.states() {
            self.connect_clusters(&state);
        }
    }

    /// From now on calls get through that say that the cluster has changed.
    pub(super) fn connect_clusters(&self, state: &DatabaseState) {
        if let Some(clusters) = &self.clusters {
            let actor = clusters.clone().recipient();
            state.cluster.actor.store(Some(Arc::new(actor)));
        }
    }

    fn start_subscribers(&mut self, ctx: &mut Context<Self>) {
        let guard = ExitGuard::new(Child::Subscribers, ctx.address().recipient());
        let subscribers = SubscribersActor::new(self.registry.clone(), guard);
        self.subscribers = Some(subscribers.start());
        for state in self.registry.states() {
            self.connect_subscribers(&state);
        }
    }

    /// From now on the first subscriber of the database gets a connection.
    pub(super) fn connect_subscribers(&self, state: &DatabaseState) {
        if let Some(subscribers) = &self.subscribers {
            let actor = subscribers.clone().recipient();
            state.subscribers.actor.store(Some(Arc::new(actor)));
        }
    }

    pub(super) fn restart(&mut self, child: &Child, ctx: &mut Context<Self>) {
        if self.is_stopping {
            return;
        }
        match child {
            Child::Health => self.start_health(ctx),
            Child::Janitor => self.start_janitor(ctx),
            Child::Sentinels => self.start_sentinels(ctx),
            Child::Replicas => self.start_replicas(ctx),
            Child::Clusters => self.start_clusters(ctx),
            Child::Subscribers => self.start_subscribers(ctx),
            Child::Relay(id) => {
                if let Some(state) = self.registry.state(id) {
                    self.start_relay(&state, ctx);
                }
            }
            Child::Pool(id) => {
                if let Some(state) = self.registry.state(id) {
                    count(&state.counters.restarts);
                    self.start_pool(&state, ctx);
                    state.report(Evidence::Restarted);
                }
            }
        }
    }

    /// The actors of a database that was removed end without a successor.
    fn is_needed(&self, child: &Child) -> bool {
        match child {
            Child::Health
            | Child::Janitor
            | Child::Sentinels
            | Child::Replicas
            | Child::Clusters
            | Child::Subscribers => true,
            Child::Pool(id) | Child::Relay(id) => self.registry.state(id).is_some(),
        }
    }

    /// Stops restarting a pool that crashes repeatedly. Its database has failed until it is revived.
    fn give_up(&self, id: &DatabaseId) {
        let database = id.name().clone();
        log_line!(
            self.registry.log,
            ERROR,
            database = &*database,
            "its pool crashes repeatedly, and is given up"
        );
        if let Some(state) = self.registry.state(id) {
            state.set_gate(GateState::Failed);
            state.close(Failure::Abandoned(Execution::NotSent));
            state.report(Evidence::GivenUp);
        }
    }
}

impl Handler<ChildExited> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, ChildExited(child): ChildExited, ctx: &mut Self::Context) {
        if self.is_stopping || !self.is_needed(&child) {
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
                Child::Pool(id) => self.give_up(id),
                // These are never given up: without the health actor no circuit would change again, without
                // the janitor no idle connection would be closed, without the sentinels actor no failover noticed, without
                // the replicas actor no replica found, without that of clusters no moved slot, without that of subscribers nothing heard, and without the relay no message
                // handled.
                Child::Health
                | Child::Janitor
                | Child::Sentinels
                | Child::Replicas
                | Child::Clusters
                | Child::Subscribers
                | Child::Relay(_) => {
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
