//! The janitor: a clock for each pool, which makes it look for idle connections.

use std::sync::Arc;

use actix::{Actor, AsyncContext, Context};

use super::guard::ExitGuard;
use crate::{dispatch::Dispatcher, messages::Sweep, registry::Registry};

pub(super) struct JanitorActor {
    pub(super) registry: Arc<Registry>,
    // Never read: it reports the end of this actor when it is dropped.
    pub(super) _guard: ExitGuard,
}

impl Actor for JanitorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        for dispatcher in self.registry.dispatchers() {
            let interval = dispatcher.settings.sweep_interval;
            ctx.run_interval(interval, move |_, _| sweep(&dispatcher));
        }
    }
}

/// Asks the pool that the database has at the moment.
fn sweep(dispatcher: &Dispatcher) {
    if let Some(pool) = &*dispatcher.pool.load() {
        pool.sweep.do_send(Sweep);
    }
}
