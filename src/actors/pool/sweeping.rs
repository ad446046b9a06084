//! Closing what is idle or too old.

use actix::{Context, Handler};
use tokio::time::Instant;

use super::{PoolActor, leasing::is_gone};
use crate::{
    messages::Sweep,
    policy::pool::{Eviction, Lane},
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
        let mut closed = 0;
        for (id, eviction) in evicted {
            match (self.connections.get(&id).map(|it| it.lane), eviction) {
                (Some(Lane::Shared), Eviction::Lifetime) => {
                    // It is taken out of service, and counted, once there is another.
                    self.replace_expired(id, ctx);
                    continue;
                }
                (Some(Lane::Shared), _) => self.retire(id),
                (Some(Lane::Leased), _) => self.close_leased(id),
                (None, _) => continue,
            }
            self.count_eviction(id, eviction);
            closed += 1;
        }
        self.fill_shared(ctx);
        closed
    }

    pub(super) fn count_eviction(&self, id: u64, eviction: Eviction) {
        let database = self.dispatcher.name();
        tracing::debug!(%database, connection = id, reason = ?eviction, "connection evicted");
        self.dispatcher.counters.evicted(eviction);
    }
}

impl Handler<Sweep> for PoolActor {
    type Result = usize;

    fn handle(&mut self, _: Sweep, ctx: &mut Self::Context) -> usize {
        self.parking.forget_gone();
        self.ledger.forget_gone(is_gone);
        let evicted = match self.draining {
            None => self.sweep(ctx),
            Some(_) => 0,
        };
        self.dispatcher.counters.swept();
        self.lend(ctx);
        evicted
    }
}
