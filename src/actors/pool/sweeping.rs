//! Closing what is idle or too old.

use actix::{Context, Handler};
use tokio::time::Instant;

use super::PoolActor;
use crate::{
    messages::Sweep,
    policy::{ledger::Eviction, permits::Lane},
};

impl PoolActor {
    fn sweep(&mut self, ctx: &mut Context<Self>) -> usize {
        let now = Instant::now().into_std();
        for route in self.shared.routes() {
            // Its last request may be one that takes its time.
            let last = match route.activity.outstanding() {
                0 => route.activity.last().into_std(),
                _ => now,
            };
            self.ledger.used(route.id, last);
        }
        let interval = self.dispatcher.settings.sweep_interval;
        let evicted = self.ledger.sweep(now, interval);
        for (id, eviction) in &evicted {
            let database = self.dispatcher.name();
            tracing::debug!(%database, connection = id, reason = ?eviction, "connection evicted");
            self.dispatcher.counters.evicted(*eviction);
            self.evict(*id, *eviction, ctx);
        }
        evicted.len()
    }

    fn evict(&mut self, id: u64, eviction: Eviction, ctx: &mut Context<Self>) {
        let lane = self.connections.get(&id).map(|it| it.lane);
        match (lane, eviction) {
            (Some(Lane::Leased), _) => self.close_leased(id),
            (Some(Lane::Shared), Eviction::Lifetime) => self.replace_expired(id, ctx),
            (Some(Lane::Shared), _) => self.retire(id),
            (None, _) => {}
        }
    }
}

impl Handler<Sweep> for PoolActor {
    type Result = usize;

    fn handle(&mut self, _: Sweep, ctx: &mut Self::Context) -> usize {
        self.parking.forget_gone();
        let evicted = match self.draining {
            None => self.sweep(ctx),
            Some(_) => 0,
        };
        self.dispatcher.counters.swept();
        self.lend(ctx);
        evicted
    }
}
