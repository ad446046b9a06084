//! The janitor: a timer for each pool, which makes it close idle and old connections.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler, ResponseFuture, SpawnHandle};

use super::exit_guard::ExitGuard;
use crate::{
    identity::DatabaseId,
    messages::{Reconfigured, Sweep, SweepAll},
    registry::Registry,
    state::DatabaseState,
};

pub(super) struct JanitorActor {
    registry: Arc<Registry>,
    timers: HashMap<DatabaseId, Timer>,
    // Never read: it reports the end of this actor when it is dropped.
    _guard: ExitGuard,
}

struct Timer {
    interval: Duration,
    handle: SpawnHandle,
}

impl JanitorActor {
    pub(super) fn new(registry: Arc<Registry>, guard: ExitGuard) -> Self {
        Self {
            registry,
            timers: HashMap::new(),
            _guard: guard,
        }
    }

    /// Each database has a timer with the interval of its settings.
    fn set_timers(&mut self, ctx: &mut Context<Self>) {
        let mut before = std::mem::take(&mut self.timers);
        for state in self.registry.states() {
            let interval = state.settings.load().sweep_interval;
            let timer = before.remove(&state.id);
            let timer = match timer {
                Some(timer) if timer.interval == interval => timer,
                other => {
                    if let Some(other) = other {
                        ctx.cancel_future(other.handle);
                    }
                    let swept = state.clone();
                    let handle = ctx.run_interval(interval, move |_, _| sweep(&swept));
                    Timer { interval, handle }
                }
            };
            self.timers.insert(state.id.clone(), timer);
        }
        for timer in before.into_values() {
            ctx.cancel_future(timer.handle);
        }
    }
}

impl Actor for JanitorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.set_timers(ctx);
    }
}

impl Handler<Reconfigured> for JanitorActor {
    type Result = ();

    fn handle(&mut self, _: Reconfigured, ctx: &mut Self::Context) {
        self.set_timers(ctx);
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
