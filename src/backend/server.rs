//! One server: a request is sent over a route, or parked in the pool.

use std::time::Duration;

use super::Backend;
use crate::{
    messages::{Acquire, Park, Retire, Waiting},
    net::{Origin, Request},
    state::DatabaseState,
};

/// The connections of one pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server;

impl Backend for Server {
    fn send(&self, state: &DatabaseState, request: Request) {
        let routes = state.routes.load();
        let request = match &*routes {
            Some(routes) => match routes.least_loaded().mailbox.send(request) {
                Ok(()) => return,
                Err(refused) => refused.0,
            },
            None => request,
        };
        self.send_later(state, request, Duration::ZERO);
    }

    /// Sends the request by way of the pool. The pool has a timer, and its mailbox keeps the order: it has
    /// retired a distrusted connection by then. Without a pool the request is dropped, which answers it.
    fn send_later(&self, state: &DatabaseState, request: Request, after: Duration) {
        if let Some(pool) = &*state.pool.load() {
            pool.park.do_send(Park { request, after });
        }
    }

    fn lend(&self, state: &DatabaseState, waiting: Waiting) {
        if let Some(pool) = &*state.pool.load() {
            pool.acquire.do_send(Acquire(waiting));
        }
    }

    fn distrust(&self, state: &DatabaseState, Origin::Connection(id): Origin) {
        if let Some(pool) = &*state.pool.load() {
            pool.retire.do_send(Retire { only: Some(id) });
        }
    }
}
