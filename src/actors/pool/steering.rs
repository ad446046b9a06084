//! What others ask of a pool, or tell it of its connections.

use std::{collections::HashSet, sync::Arc};

use actix::{Context, Handler};
use tokio::time::Instant;

use super::{Event, PoolActor, connections::Held, handoff::HandoffEvent, limits};
use crate::{
    config::Address,
    messages::{Moved, Reconfigured, Redial, Retire, Saturated, Sweep},
};

impl Handler<Reconfigured> for PoolActor {
    type Result = ();

    fn handle(&mut self, _: Reconfigured, ctx: &mut Context<Self>) {
        self.look_at_settings(ctx);
    }
}

impl PoolActor {
    /// Takes the present settings, if they are others.
    pub(super) fn look_at_settings(&mut self, ctx: &mut Context<Self>) {
        let present = self.state.settings.share();
        if Arc::ptr_eq(&present, &self.settings) {
            return;
        }
        let changes = self.settings.changes(&present);
        let renews = self.settings.needs_new_connections(&changes, &present);
        self.settings = present;
        if changes.lead_elsewhere() {
            self.tell_handoff(HandoffEvent::Renewed, ctx);
        }
        if changes.concern_credentials() {
            self.forget_logins();
        }
        self.leak_watch.change(self.settings.leak_warning);
        let limits = limits(&self.settings);
        self.turn(Event::Reconfigured { limits, renews }, ctx);
    }
}

impl Handler<Redial> for PoolActor {
    type Result = ();

    fn handle(&mut self, order: Redial, ctx: &mut Context<Self>) {
        let at = Instant::now() + order.after;
        self.turn(Event::Redial { at: at.into_std() }, ctx);
    }
}

impl Handler<Retire> for PoolActor {
    type Result = ();

    fn handle(&mut self, Retire { only }: Retire, ctx: &mut Context<Self>) {
        let is_meant = |id: u64| only.is_none_or(|only| only == id);
        let meant = self.connections.iter().filter(|(id, _)| is_meant(**id));
        let places: HashSet<_> = meant.map(|(_, held)| held.address.clone()).collect();
        for place in &places {
            self.doubt(place);
        }
        self.state.distrust_near_cache();
        self.turn(Event::Distrusted { only }, ctx);
    }
}

impl PoolActor {
    /// The server may be gone from an address.
    pub(super) fn doubt(&self, address: &Address) {
        let settings = self.state.settings.load();
        self.state.dialler.doubt(&settings, address);
    }
}

impl Handler<Moved> for PoolActor {
    type Result = ();

    fn handle(&mut self, Moved { primary }: Moved, ctx: &mut Context<Self>) {
        let service = self.state.settings.load().address.clone();
        if !service.is_of_sentinels() {
            // The message of that change lies behind this one.
            return;
        }
        // Those of settings before serve until they are replaced.
        let leads_elsewhere = |held: &Held| held.endpoint == service && held.address != primary;
        let stale = self.connections.iter();
        let stale = stale.filter(|(_, held)| leads_elsewhere(held));
        let stale = stale.map(|(id, _)| *id).collect();
        self.turn(Event::Moved { stale }, ctx);
    }
}

impl Handler<Saturated> for PoolActor {
    type Result = ();

    fn handle(&mut self, _: Saturated, ctx: &mut Context<Self>) {
        self.turn(Event::Saturated, ctx);
    }
}

impl Handler<Sweep> for PoolActor {
    type Result = usize;

    fn handle(&mut self, _: Sweep, ctx: &mut Context<Self>) -> usize {
        self.state.parking.forget_gone();
        self.turn(Event::Swept, ctx);
        self.state.counters.swept();
        self.pool.swept()
    }
}
