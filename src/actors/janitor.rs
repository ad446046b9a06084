//! The janitor: a clock that makes every pool look for idle connections.

use std::sync::Arc;

use actix::{Actor, AsyncContext, Context};

use super::guard::ExitGuard;
use crate::{messages::Sweep, registry::Registry};

pub(super) struct JanitorActor {
    pub(super) registry: Arc<Registry>,
    // Never read: it reports the end of this actor when it is dropped.
    pub(super) _guard: ExitGuard,
}

impl Actor for JanitorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.registry.settings.sweep_interval, |janitor, _| {
            janitor.sweep();
        });
    }
}

impl JanitorActor {
    fn sweep(&self) {
        for dispatcher in self.registry.dispatchers() {
            if let Some(pool) = &*dispatcher.pool.load() {
                pool.sweep.do_send(Sweep);
            }
        }
    }
}
