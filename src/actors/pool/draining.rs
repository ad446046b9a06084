//! How a pool ends.

use actix::{ActorContext, Context, Handler, ResponseFuture};
use tokio::{sync::oneshot, time::Instant};

use super::{Event, PoolActor};
use crate::messages::Drain;

/// Where to tell that nothing is left. A shutdown may come while a removed database is draining.
#[derive(Default)]
pub(super) struct Finished(Vec<oneshot::Sender<()>>);

impl PoolActor {
    pub(super) fn finish(&mut self, ctx: &mut Context<Self>) {
        for finished in self.finished.0.drain(..) {
            // The supervisor may have given up waiting.
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
        self.finished.0.push(finished);
        self.state.parking.drain();
        let deadline = drain.deadline.into_std();
        self.tell(Event::Leases(self.leases()), Instant::now());
        self.turn(Event::Drain { deadline }, ctx);
        // An error says that the pool is gone, which is what was asked for.
        Box::pin(async move { wait.await.unwrap_or_default() })
    }
}
