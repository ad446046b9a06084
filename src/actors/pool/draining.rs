//! How a pool ends: it finishes what is under way, and when the grace is over it cuts short the rest.

use actix::{ActorContext, AsyncContext, Context, Handler, ResponseFuture};
use tokio::{sync::oneshot, time::Instant};

use super::PoolActor;
use crate::{messages::Drain, registry::STOP_PATIENCE};

/// A drain that has begun.
pub(super) struct Draining {
    finished: Option<oneshot::Sender<()>>,
    /// The grace is over.
    is_forced: bool,
}

impl PoolActor {
    pub(super) fn is_forced(&self) -> bool {
        self.draining.as_ref().is_some_and(|it| it.is_forced)
    }

    /// The grace is over: whatever is left is cut short.
    fn force(&mut self, ctx: &mut Context<Self>) {
        let Some(draining) = &mut self.draining else {
            return;
        };
        draining.is_forced = true;
        self.parking.refuse_all();
        self.retire_all();
        self.abort_dials();
        for stop in self
            .connections
            .values_mut()
            .filter_map(|it| it.stop.take())
        {
            // An error says that it has ended already.
            let _ = stop.send(());
        }
        ctx.run_later(STOP_PATIENCE, Self::finish);
        self.advance_drain(ctx);
    }

    pub(super) fn advance_drain(&mut self, ctx: &mut Context<Self>) {
        if self.draining.is_none() || !self.parking.is_empty() {
            return;
        }
        self.retire_all();
        self.abort_dials();
        if self.dials.is_empty() && self.connections.is_empty() {
            self.finish(ctx);
        }
    }

    fn abort_dials(&self) {
        for dialling in self.dials.values() {
            dialling.task.abort();
        }
    }

    fn finish(&mut self, ctx: &mut Context<Self>) {
        let Some(draining) = &mut self.draining else {
            return;
        };
        if let Some(finished) = draining.finished.take() {
            // Nobody may be left to hear it.
            let _ = finished.send(());
        }
        self.guard.release();
        ctx.stop();
    }
}

impl Handler<Drain> for PoolActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, drain: Drain, ctx: &mut Self::Context) -> Self::Result {
        let (finished, wait) = oneshot::channel();
        self.draining = Some(Draining {
            finished: Some(finished),
            is_forced: false,
        });
        let grace = drain.deadline.saturating_duration_since(Instant::now());
        ctx.run_later(grace, Self::force);
        self.dismiss_waiting();
        self.advance_drain(ctx);
        // An error says that the pool is gone, which is what was asked for.
        Box::pin(async move { wait.await.unwrap_or_default() })
    }
}
