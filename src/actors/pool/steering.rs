//! What others ask of a pool, or tell it of its connections.

use actix::{Context, Handler};
use tokio::time::Instant;

use super::{Event, PoolActor};
use crate::messages::{Redial, Retire, Saturated, Sweep};

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
        self.turn(Event::Distrusted { only }, ctx);
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
