//! The replicas of databases: each is a database of its own, with a pool and a circuit, which no configuration names.

use std::collections::BTreeMap;

use actix::{Context, Handler};

use super::{SupervisorActor, applying::compare};
use crate::{
    messages::{HaveReplicas, Reconfigured, Replicate},
    policy::plan::Plan,
};

impl Handler<HaveReplicas> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, HaveReplicas { of, replicas }: HaveReplicas, ctx: &mut Self::Context) {
        if self.is_stopping || self.registry.state(&of).is_none() {
            // Those of a database that was removed were removed with it.
            return;
        }
        let states = self.registry.replicas_of(&of);
        let present: BTreeMap<_, _> = states.iter().map(|state| (state.name(), state)).collect();
        let wanted = replicas.into_iter();
        let wanted = wanted.map(|settings| (settings.name.clone(), settings));
        let plan = Plan::new(present, wanted, compare);
        if plan.is_empty() {
            return;
        }
        for (name, settings, changes) in &plan.changed {
            if let Some(state) = self.registry.find(name) {
                self.change(&state, settings, changes);
            }
        }
        for settings in &plan.added {
            self.add(settings, Some(&of), ctx);
        }
        let mut drains = Vec::new();
        for name in &plan.removed {
            if let Some(state) = self.registry.take(name) {
                drains.extend(self.remove(state));
            }
        }
        // Nobody waits for the end of those that were removed.
        drop(self.await_drains(drains, ctx));
        self.tell_of_changes();
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
