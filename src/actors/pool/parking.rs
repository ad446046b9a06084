//! Requests that wait for a connection.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use actix::{AsyncContext, Context, SpawnHandle};
use tokio::time::Instant;

use super::PoolActor;
use crate::{
    execution::{Execution, Stage},
    net::{Failure, Mailbox, Request},
    state::DatabaseState,
    state::count,
};

/// Requests of one database that wait for a connection, first come, first sent, each at most
/// until its deadline. One timer serves them all.
pub(super) struct Parking {
    dispatcher: Arc<DatabaseState>,
    requests: VecDeque<Request>,
    alarm: Option<(Instant, SpawnHandle)>,
}

impl Parking {
    pub(super) fn new(dispatcher: Arc<DatabaseState>) -> Self {
        let parking = Self {
            dispatcher,
            requests: VecDeque::new(),
            alarm: None,
        };
        // A predecessor that crashed has left its length.
        parking.publish_length();
        parking
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    pub(super) fn park(&mut self, mut request: Request, ctx: &mut Context<PoolActor>) {
        let limit = self.dispatcher.settings.max_parked;
        if self.requests.len() >= limit {
            self.forget_gone();
        }
        if self.requests.len() >= limit {
            if !request.responder.finish(Err(Failure::TooManyParked)) {
                count(&self.dispatcher.counters.cancelled);
            }
            return;
        }
        self.arm(request.deadline, ctx);
        self.requests.push_back(request);
        self.publish_length();
    }

    /// A connection is ready.
    pub(super) fn send_all(&mut self, mailbox: &Mailbox) {
        while let Some(request) = self.requests.pop_front() {
            if let Err(refused) = mailbox.send(request) {
                // It broke at once. The next one will take the rest.
                self.requests.push_front(refused.0);
                break;
            }
        }
        self.publish_length();
    }

    /// The supervisor shuts down and the grace is over.
    pub(super) fn refuse_all(&mut self) {
        while let Some(request) = self.requests.pop_front() {
            self.refuse(request);
        }
        self.publish_length();
    }

    /// Answers a request that came too late for a shutdown.
    pub(super) fn refuse(&self, mut request: Request) {
        let counters = &self.dispatcher.counters;
        let failure = Failure::ShuttingDown(Execution::NotSent);
        match request.responder.finish(Err(failure)) {
            true => count(&counters.lost),
            false => count(&counters.cancelled),
        }
    }

    /// Drops requests whose callers have gone.
    pub(super) fn forget_gone(&mut self) {
        let counters = &self.dispatcher.counters;
        self.requests.retain(|request| {
            let is_gone = request.responder.is_gone();
            if is_gone {
                count(&counters.cancelled);
            }
            !is_gone
        });
        self.publish_length();
    }

    pub(super) fn expire(&mut self, ctx: &mut Context<PoolActor>) {
        self.alarm = None;
        let now = Instant::now();
        let counters = &self.dispatcher.counters;
        self.requests.retain_mut(|request| {
            let is_due = request.deadline <= now;
            if is_due {
                let failure = Failure::TimedOut(Stage::Connect);
                match request.responder.finish(Err(failure)) {
                    true => count(&counters.timed_out),
                    false => count(&counters.cancelled),
                }
            }
            !is_due
        });
        self.publish_length();
        if let Some(next) = self.requests.iter().map(|request| request.deadline).min() {
            self.arm(next, ctx);
        }
    }

    fn arm(&mut self, at: Instant, ctx: &mut Context<PoolActor>) {
        if let Some((armed, handle)) = self.alarm {
            if armed <= at {
                return;
            }
            ctx.cancel_future(handle);
        }
        let pause = at.saturating_duration_since(Instant::now());
        let handle = ctx.run_later(pause, |pool, ctx| {
            pool.parking.expire(ctx);
            pool.advance_drain(ctx);
        });
        self.alarm = Some((at, handle));
    }

    fn publish_length(&self) {
        let parked = &self.dispatcher.counters.parked;
        parked.store(self.requests.len(), Relaxed);
    }
}
