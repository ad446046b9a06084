//! Requests that wait for a connection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{self, Duration},
};

use actix::{AsyncContext, Context, Handler};
use tokio::time::Instant;

use super::{Event, PoolActor};
use crate::{
    execution::{Execution, Stage},
    messages::Park,
    net::{Failure, Mailbox, Request},
    policy::{
        gate_state::GateState,
        pool::{WaitQueue, Waiter},
    },
    state::{Counters, DatabaseState, count},
};

/// Requests of one database that wait for a connection, first come, first sent, each at most
/// until its deadline.
pub(super) struct Parking {
    state: Arc<DatabaseState>,
    requests: WaitQueue<Request>,
}

impl Parking {
    pub(super) fn new(state: Arc<DatabaseState>) -> Self {
        let parking = Self {
            state,
            requests: WaitQueue::new(),
        };
        // A predecessor that crashed has left its length.
        parking.publish_length();
        parking
    }

    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// When the first deadline passes, or earlier.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.requests.wake_at().map(Instant::from_std)
    }

    fn push(&mut self, mut request: Request) {
        let limit = self.state.settings.load().max_parked;
        if self.requests.len() >= limit {
            self.forget_gone();
        }
        if self.requests.len() >= limit {
            if !request.responder.finish(Err(Failure::TooManyParked)) {
                count(&self.state.counters.cancelled);
            }
            return;
        }
        self.requests.push(request);
        self.publish_length();
    }

    /// Sends the requests on a connection that is ready.
    fn send_all(&mut self, mailbox: &Mailbox) {
        while let Some(request) = self.requests.pop() {
            if let Err(refused) = mailbox.send(request) {
                // The connection broke at once. The next one will take the rest.
                self.requests.push_first(refused.0);
                break;
            }
        }
        self.publish_length();
    }

    /// Answers all requests with an error, because the grace of a shutdown is over.
    pub(super) fn refuse_all(&mut self) {
        for request in self.requests.dismiss() {
            self.refuse(request);
        }
        self.publish_length();
    }

    /// Answers a request that came too late for a shutdown.
    fn refuse(&self, request: Request) {
        let counters = &self.state.counters;
        let failure = Failure::ShuttingDown(Execution::NotSent);
        fail(request, failure, &counters.lost, counters);
    }

    /// Drops requests whose callers have gone.
    pub(super) fn forget_gone(&mut self) {
        for _ in 0..self.requests.forget_gone() {
            count(&self.state.counters.cancelled);
        }
        self.publish_length();
    }

    /// Answers requests whose deadlines have passed, once the first of them has.
    pub(super) fn expire(&mut self, now: Instant) {
        let expired = self.requests.expire(now.into_std());
        if expired.is_empty() {
            return;
        }
        let counters = &self.state.counters;
        for request in expired {
            let failure = Failure::TimedOut(Stage::Connect);
            fail(request, failure, &counters.timed_out, counters);
        }
        self.publish_length();
    }

    fn publish_length(&self) {
        let parked = &self.state.counters.parked;
        parked.store(self.requests.len(), Relaxed);
    }
}

/// Answers a request that was not sent, and counts it: as cancelled if its caller has gone.
pub(super) fn fail(
    mut request: Request,
    failure: Failure,
    counter: &AtomicU64,
    counters: &Counters,
) {
    let has_told = request.responder.finish(Err(failure));
    count(if has_told {
        counter
    } else {
        &counters.cancelled
    });
}

impl Waiter for Request {
    fn deadline(&self) -> time::Instant {
        self.deadline.into_std()
    }

    fn is_gone(&self) -> bool {
        self.responder.is_gone()
    }
}

impl PoolActor {
    /// Sends a request on a connection that is ready, or keeps it until there is one.
    ///
    /// A connection may have become ready, or have ended, while the request was on its way to this actor.
    pub(super) fn park(&mut self, mut request: Request) {
        if self.pool.is_forced() {
            return self.parking.refuse(request);
        }
        for route in self.routes() {
            match route.mailbox.send(request) {
                Ok(()) => return,
                Err(refused) => request = refused.0,
            }
        }
        self.parking.push(request);
    }

    pub(super) fn send_parked(&mut self, id: u64) {
        let held = self.connections.get(&id);
        if let Some(route) = held.and_then(|held| held.route.as_ref()) {
            self.parking.send_all(&route.mailbox);
        }
    }
}

impl Handler<Park> for PoolActor {
    type Result = ();

    fn handle(&mut self, Park { request, after }: Park, ctx: &mut Self::Context) {
        if self.pool.is_draining() {
            self.parking.refuse(request);
        } else if after.is_zero() {
            self.park(request);
            self.turn(Event::Parked(self.parking.len()), ctx);
        } else {
            self.park_later(request, after, ctx);
        }
    }
}

impl PoolActor {
    /// Parks a request after a pause. The pause is a task of its own, because an actor polls all its futures
    /// each time that it wakes.
    fn park_later(&self, mut request: Request, after: Duration, ctx: &mut Context<Self>) {
        let pool = ctx.address();
        let gate = self.state.gate.clone();
        actix_rt::spawn(async move {
            tokio::time::sleep(after).await;
            if gate.state() == GateState::Open {
                // The caller may have gone.
                request.responder.finish(Err(Failure::CircuitOpened));
                return;
            }
            let after = Duration::ZERO;
            pool.do_send(Park { request, after });
        });
    }
}
