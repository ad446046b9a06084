//! A change of the configuration.
//!
//! All of it is one turn of this actor, without a pause: so two changes are made one after the other, and no server
//! is waited for. What the other actors have to do they find out by themselves, from the settings in the state:
//! the message that they get says only that they have to look. So one that crashes meanwhile ends in the new state.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use actix::{
    Actor, ActorFutureExt as _, Addr, AsyncContext as _, Context, Handler, ResponseFuture,
    WrapFuture as _, prelude::Request,
};
use tokio::time::Instant;

use super::SupervisorActor;
use crate::{
    actors::pool::PoolActor,
    applied::{Applied, DatabaseChange},
    config::{Changes, DatabaseSettings, Settings},
    events::HealthState,
    execution::Execution,
    identity::PartOf,
    messages::{Apply, Child, Drain, Reconfigured},
    net::Failure,
    policy::{gate_state::GateState, plan::Plan},
    state::DatabaseState,
};

/// A node without slots may answer what is under way for so long.
const NODE_GRACE: Duration = Duration::from_millis(250);

/// A database that was removed and is finishing what was under way.
pub(in crate::actors) struct Leaving {
    pub(in crate::actors) state: Arc<DatabaseState>,
    pub(in crate::actors) pool: Addr<PoolActor>,
}

/// A database that was removed, and the end of its connections.
pub(super) struct Draining {
    state: Arc<DatabaseState>,
    drained: Request<PoolActor, Drain>,
}

impl SupervisorActor {
    /// Makes the databases those of these settings. Returns the report, and what is to be waited for.
    fn apply(&mut self, settings: Settings, ctx: &mut Context<Self>) -> (Applied, Vec<Draining>) {
        let states = self.registry.configured();
        let present: BTreeMap<_, _> = states.iter().map(|state| (state.name(), state)).collect();
        let (aliases, default) = (settings.aliases, settings.default_database);
        self.registry.services.set_registry(settings.registry);
        self.registry.log_notes(&settings.notes);
        let wanted = settings.databases.into_iter();
        let wanted = wanted.map(|settings| (settings.name.clone(), settings));
        let plan = Plan::new(present, wanted, compare);
        let mut report = Applied::default();
        for name in &plan.unchanged {
            report
                .databases
                .insert(name.clone(), DatabaseChange::Unchanged);
        }
        if plan.is_empty() {
            self.registry.publish_names(&aliases, default);
            return (report, Vec::new());
        }
        for (name, settings, changes) in &plan.changed {
            if let Some(state) = self.registry.find(name) {
                let change = self.change(&state, settings, changes);
                report.databases.insert(name.clone(), change);
            }
        }
        for settings in &plan.added {
            self.add(settings, None, ctx);
            report
                .databases
                .insert(settings.name.clone(), DatabaseChange::Added);
        }
        let removed = plan.removed.iter();
        let removed: Vec<_> = removed
            .filter_map(|name| self.registry.take(name))
            .collect();
        self.registry.publish_names(&aliases, default);
        let mut drains = Vec::new();
        for state in removed {
            report
                .databases
                .insert(state.name(), DatabaseChange::Removed);
            drains.extend(self.remove_whole(state));
        }
        self.tell_of_changes();
        (report, drains)
    }

    /// Tells the other actors that there are other databases or settings.
    pub(super) fn tell_of_changes(&self) {
        send(self.health.as_ref());
        send(self.janitor.as_ref());
        send(self.sentinels.as_ref());
        send(self.replicas.as_ref());
        send(self.clusters.as_ref());
        send(self.subscribers.as_ref());
    }

    pub(super) fn change(
        &self,
        state: &DatabaseState,
        settings: &Arc<DatabaseSettings>,
        changes: &Changes,
    ) -> DatabaseChange {
        let present = state.settings.share();
        let reconnects = present.needs_new_connections(changes, settings);
        state.change(settings, changes);
        self.registry.announce_change(&state.name, changes.keys());
        send(self.pools.get(&state.id));
        let settings = changes.keys().to_vec();
        if reconnects {
            DatabaseChange::Reconnecting { settings }
        } else {
            DatabaseChange::TookEffect { settings }
        }
    }

    /// Adds a database, or a part of one.
    pub(super) fn add(
        &mut self,
        settings: &Arc<DatabaseSettings>,
        part_of: Option<&PartOf>,
        ctx: &mut Context<Self>,
    ) {
        let state = self.registry.create(settings, part_of);
        let whole = part_of.and_then(|part_of| self.registry.state(part_of.whole()));
        if whole.is_some_and(|whole| whole.is_isolated.load(Relaxed)) {
            state.is_isolated.store(true, Relaxed);
            state.set_gate(GateState::Isolated);
        }
        self.registry.announce(&state, HealthState::Starting, None);
        self.connect_health(&state);
        self.connect_clusters(&state);
        self.connect_subscribers(&state);
        self.start_pool(&state, ctx);
        self.start_relay(&state, ctx);
        // Last, so that no handle is there before all that it needs.
        self.registry.add(state);
    }

    /// Removes a database, which the registry has no more, and its parts.
    pub(super) fn remove_whole(&mut self, state: Arc<DatabaseState>) -> Vec<Draining> {
        let parts = self.registry.all_parts(&state.id);
        for part in &parts {
            self.registry.take(&part.name);
        }
        let all = [state].into_iter().chain(parts);
        all.filter_map(|state| self.remove(state)).collect()
    }

    /// Lets no command pass any more, and ends its actors when what is under way has ended.
    pub(super) fn remove(&mut self, state: Arc<DatabaseState>) -> Option<Draining> {
        state.set_gate(GateState::Removed);
        let recovery = state.local.abandon();
        self.registry
            .announce(&state, HealthState::Removed, recovery);
        if matches!(state.part_of, Some(PartOf::Nodes(_))) {
            // What waits for a connection to it runs at the node that has its slots now.
            state.close(Failure::ShuttingDown(Execution::NotSent));
        }
        state.health.store(None);
        self.relays.remove(&state.id);
        for child in [
            Child::Pool(state.id.clone()),
            Child::Relay(state.id.clone()),
        ] {
            self.restarts.remove(&child);
        }
        let pool = self.pools.remove(&state.id)?;
        let grace = match &state.part_of {
            // Its slots are at another node. What it still answers after a freeze would be lost there.
            Some(PartOf::Nodes(_)) => NODE_GRACE,
            // By then each command under way has reached its own deadline, unless it blocks.
            _ => state.settings.load().command_timeout,
        };
        let deadline = Instant::now() + grace;
        let drained = pool.send(Drain { deadline });
        self.leaving.push(Leaving {
            state: state.clone(),
            pool,
        });
        Some(Draining { state, drained })
    }

    /// Ends databases when they have finished what was under way, and says so.
    pub(super) fn await_drains(
        &self,
        drains: Vec<Draining>,
        ctx: &mut Context<Self>,
    ) -> oneshot::AsyncReceiver<()> {
        let (end, ended) = oneshot::async_channel();
        // Not in the future of whoever waits for it, which may be dropped.
        let drained = async move {
            for Draining { state, drained } in drains {
                // A pool that crashes meanwhile has answered its callers by dropping their requests.
                let _ = drained.await;
                state.end();
                state.pool.store(None);
                state.seen.forget_all();
            }
            let _ = end.send(());
        };
        ctx.spawn(drained.into_actor(self).map(|(), supervisor, _| {
            supervisor
                .leaving
                .retain(|leaving| leaving.pool.connected());
        }));
        ended
    }
}

impl Handler<Apply> for SupervisorActor {
    type Result = ResponseFuture<Option<Applied>>;

    fn handle(&mut self, Apply(settings): Apply, ctx: &mut Self::Context) -> Self::Result {
        if self.is_stopping {
            return Box::pin(async { None });
        }
        let (report, drains) = self.apply(settings, ctx);
        let ended = self.await_drains(drains, ctx);
        Box::pin(async move {
            // An error says that the supervisor's thread is ending, and the pools with it.
            let _ = ended.await;
            Some(report)
        })
    }
}

/// The wanted settings and what changes with them; an error if nothing does.
pub(super) fn compare(
    state: &&Arc<DatabaseState>,
    wanted: Arc<DatabaseSettings>,
) -> Result<(Arc<DatabaseSettings>, Changes), Arc<DatabaseSettings>> {
    let present = state.settings.share();
    let wanted = present.precede(wanted);
    let changes = present.changes(&wanted);
    if changes.is_empty() {
        Err(wanted)
    } else {
        Ok((wanted, changes))
    }
}

/// Tells an actor to look. One that has crashed is replaced by one that looks anyway.
fn send<A: Actor<Context = Context<A>> + Handler<Reconfigured>>(actor: Option<&Addr<A>>) {
    if let Some(actor) = actor {
        actor.do_send(Reconfigured);
    }
}
