//! The janitor: a timer for each pool, which makes it close idle and old connections.

use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, Handler, ResponseFuture};

use super::exit_guard::ExitGuard;
use crate::{
    messages::{Sweep, SweepAll},
    registry::Registry,
    state::DatabaseState,
};

pub(super) struct JanitorActor {
    pub(super) registry: Arc<Registry>,
    // Never read: it reports the end of this actor when it is dropped.
    pub(super) _guard: ExitGuard,
}

impl Actor for JanitorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        for state in self.registry.states() {
            let interval = state.settings.load().sweep_interval;
            ctx.run_interval(interval, move |_, _| sweep(&state));
        }
    }
}

impl Handler<SweepAll> for JanitorActor {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: SweepAll, _: &mut Self::Context) -> Self::Result {
        let states = self.registry.states();
        let pools = states.iter().filter_map(|state| state.pool.load_full());
        let sweeps: Vec<_> = pools.map(|pool| pool.sweep.send(Sweep)).collect();
        Box::pin(async move {
            let mut evicted = 0;
            for sweep in sweeps {
                // A pool that crashes meanwhile has closed nothing.
                evicted += sweep.await.unwrap_or_default();
            }
            evicted
        })
    }
}

/// Asks the present pool of the database. A restart replaces it, so the address is read each time.
fn sweep(state: &DatabaseState) {
    if let Some(pool) = &*state.pool.load() {
        pool.sweep.do_send(Sweep);
    }
}
