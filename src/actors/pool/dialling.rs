//! Opening connections.

use std::sync::Arc;

use actix::{AsyncContext, Context, Handler};
use tokio::task::AbortHandle;

use super::PoolActor;
use crate::{
    messages::{Dialled, News},
    net::{DialError, WhileLoading, dial},
    policy::pool::{Lane, Place as _},
    state::permits::Permit,
    stats::count,
};

/// A dial that is under way. It is the pool's and nobody else's: who has waited for it may go, and the
/// connection is there for the next.
pub(super) struct Dialling {
    pub(super) task: AbortHandle,
    pub(super) permit: Arc<Permit>,
    /// It runs on the application's runtime, which may end or lack what it needs.
    on_caller: bool,
}

impl PoolActor {
    pub(super) fn dial(&mut self, permit: Arc<Permit>, ctx: &mut Context<Self>) {
        let settings = self.dispatcher.settings.clone();
        let connector = self.registry.connector.clone();
        let of_the_task = permit.clone();
        let dial = async move {
            // Its socket counts, also when the pool is gone meanwhile.
            let _permit = of_the_task;
            dial(&*connector, &settings, WhileLoading::Wait).await
        };
        let on_caller = self.registry.executor.is_on_caller();
        let task = match self.registry.executor.spawn(dial) {
            Ok(task) => task,
            Err(error) => {
                let error = DialError::Spawn(Arc::new(error));
                return self.dial_failed(permit.lane(), error, ctx);
            }
        };
        let id = self.new_id();
        let dialling = Dialling {
            task: task.abort_handle(),
            permit,
            on_caller,
        };
        self.dials.insert(id, dialling);
        let pool = ctx.address();
        actix_rt::spawn(async move {
            let result = task.await.unwrap_or_else(|error| match error.is_panic() {
                true => Err(DialError::Panicked),
                false => Err(DialError::Cancelled),
            });
            pool.do_send(Dialled { id, result });
        });
    }

    pub(super) fn is_dialling(&self, lane: Lane) -> bool {
        self.dials.values().any(|it| it.permit.lane() == lane)
    }

    pub(super) fn dial_failed(&mut self, lane: Lane, error: DialError, ctx: &mut Context<Self>) {
        tracing::debug!(database = %self.dispatcher.name(), %error, "dial failed");
        count(&self.dispatcher.counters.dial_failures);
        let text = self.dispatcher.explain_dial(&error);
        match lane {
            // With others of its kind at work it says little about the server.
            Lane::Shared if self.shared.is_empty() => {
                self.dispatcher.dial_error.store(Some(Arc::new(text)));
                self.dispatcher.report(News::DialFailed(error));
            }
            Lane::Shared => self.dial_shared_later(error.reason(), ctx),
            Lane::Leased => self.leased_dial_failed(error.reason(), text, ctx),
        }
    }
}

impl Handler<Dialled> for PoolActor {
    type Result = ();

    fn handle(&mut self, Dialled { id, result }: Dialled, ctx: &mut Self::Context) {
        let Some(Dialling {
            permit, on_caller, ..
        }) = self.dials.remove(&id)
        else {
            return;
        };
        let lane = permit.lane();
        let is_needed = self.draining.is_none() || lane == Lane::Shared && !self.parking.is_empty();
        match result {
            _ if self.is_forced() || !is_needed => {}
            Ok(established) => self.open(id, established, permit, ctx),
            // The runtime has ended, or it has no I/O: another one may do.
            Err(DialError::Cancelled | DialError::Panicked) if on_caller => {
                self.registry.executor.leave_caller();
                self.dial(permit, ctx);
            }
            Err(error) => {
                drop(permit);
                self.dial_failed(lane, error, ctx);
            }
        }
        self.fill_shared(ctx);
        self.lend(ctx);
        self.advance_drain(ctx);
    }
}
