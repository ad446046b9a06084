//! One server: a request is sent over a route, or parked until there is one.

use std::time::Duration;

use super::Backend;
use crate::{
    messages::{Acquire, Release, Retire, Waiting},
    net::{Origin, Request},
    state::DatabaseState,
};

/// The connections of one pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server;

impl Backend for Server {
    fn send(&self, state: &DatabaseState, request: Request) {
        let routes = state.parking.routes();
        let request = match &*routes {
            Some(routes) => match routes.least_loaded().mailbox.send(request) {
                Ok(()) => return,
                Err(refused) => refused.0,
            },
            None => request,
        };
        state.parking.park(request);
    }

    fn send_later(&self, state: &DatabaseState, request: Request, pause: Duration) {
        state.parking.park_after(request, pause);
    }

    /// The pool decides whether it retires the connection. Its mailbox keeps the order, so it has done that when
    /// it releases the request.
    fn send_elsewhere(
        &self,
        state: &DatabaseState,
        request: Request,
        Origin::Connection(id): Origin,
    ) {
        let ticket = state.parking.set_aside(request);
        if let Some(pool) = &*state.pool.load() {
            pool.retire.do_send(Retire { only: Some(id) });
            pool.release.do_send(Release { ticket });
        }
    }

    /// The deadline is watched first, so that a pool that is held up cannot delay it.
    fn lend(&self, state: &DatabaseState, waiting: Waiting) {
        if let Some(pool) = &*state.pool.load() {
            state.lessees.watch(&waiting);
            pool.acquire.do_send(Acquire(waiting));
        }
    }
}
