//! Requests that wait for a shared connection. They wait in the state, where callers and connections put them.

use actix::Handler;

use super::{Event, PoolActor};
use crate::messages::{Parked, Release};

impl PoolActor {
    pub(super) fn send_parked(&self, id: u64) {
        let held = self.connections.get(&id);
        if let Some(route) = held.and_then(|held| held.route.as_ref()) {
            self.state.parking.send_on(route);
        }
    }
}

impl Handler<Parked> for PoolActor {
    type Result = ();

    fn handle(&mut self, _: Parked, ctx: &mut Self::Context) {
        self.turn(Event::Woken, ctx);
    }
}

impl Handler<Release> for PoolActor {
    type Result = ();

    fn handle(&mut self, Release { ticket }: Release, _: &mut Self::Context) {
        self.state.parking.release(ticket);
    }
}
