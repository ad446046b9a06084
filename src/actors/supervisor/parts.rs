//! The parts of databases, which are replicas or nodes of a cluster: each is a database of its own, with a pool and a
//! circuit, which no configuration names.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
};

use actix::{Context, Handler};

use super::{SupervisorActor, applying::compare};
use crate::{
    config::DatabaseSettings,
    identity::PartOf,
    messages::{HaveNodes, HaveReplicas, Reconfigured, Replicate},
    policy::plan::Plan,
    state::{ClusterNode, DatabaseState, SlotTable},
};

impl SupervisorActor {
    /// Has these parts and no others. `publish` is called when all are there, before those go that are to go.
    fn have(
        &mut self,
        part_of: &PartOf,
        wanted: Vec<Arc<DatabaseSettings>>,
        publish: impl FnOnce(&mut Self),
        ctx: &mut Context<Self>,
    ) {
        if self.is_stopping || self.registry.state(part_of.whole()).is_none() {
            // Those of a database that was removed were removed with it.
            return;
        }
        let states = self.registry.parts(part_of);
        let present: BTreeMap<_, _> = states.iter().map(|state| (state.name(), state)).collect();
        let wanted = wanted.into_iter();
        let wanted = wanted.map(|settings| (settings.name.clone(), settings));
        let plan = Plan::new(present, wanted, compare);
        for (name, settings, changes) in &plan.changed {
            if let Some(state) = self.registry.find(name) {
                self.change(&state, settings, changes);
            }
        }
        for settings in &plan.added {
            self.add(settings, Some(part_of), ctx);
        }
        publish(self);
        if plan.is_empty() {
            return;
        }
        let mut drains = Vec::new();
        for name in &plan.removed {
            if let Some(state) = self.registry.take(name) {
                drains.extend(self.remove_whole(state));
            }
        }
        // Nobody waits for the end of those that were removed.
        drop(self.await_drains(drains, ctx));
        self.tell_of_changes();
    }
}

impl Handler<HaveReplicas> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, HaveReplicas { of, replicas }: HaveReplicas, ctx: &mut Self::Context) {
        self.have(&PartOf::Replicas(of), replicas, |_| {}, ctx);
    }
}

impl Handler<HaveNodes> for SupervisorActor {
    type Result = ();

    /// Calls see the new table before nodes go, so that one that is sent back by a node finds the other.
    fn handle(&mut self, have: HaveNodes, ctx: &mut Self::Context) {
        let registry = self.registry.clone();
        let is_of_cluster = |whole: &Arc<DatabaseState>| {
            // It may have been told to lead elsewhere meanwhile.
            whole.settings.load().address == have.endpoint
        };
        let Some(whole) = registry.state(&have.of).filter(is_of_cluster) else {
            return;
        };
        let nodes = have.nodes.clone();
        let publish = |_: &mut Self| {
            let nodes = have.nodes.iter().enumerate();
            let nodes = nodes.filter_map(|(at, settings)| {
                Some(ClusterNode {
                    address: settings.address.clone(),
                    state: registry.find(&settings.name)?,
                    has_slots: Arc::new(AtomicBool::new(at < have.serving)),
                    replicas: have.replicas.get(at).cloned().unwrap_or_default(),
                })
            });
            let table = SlotTable::new(nodes.collect(), &have.owners, have.trouble.clone());
            whole.cluster.publish(table, have.asked);
        };
        self.have(&PartOf::Nodes(have.of.clone()), nodes, publish, ctx);
    }
}

impl Handler<Replicate> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, _: Replicate, _: &mut Context<Self>) {
        // One that has crashed is replaced by one that looks anyway.
        if let Some(replicas) = &self.replicas {
            replicas.do_send(Reconfigured);
        }
    }
}
