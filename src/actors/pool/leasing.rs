//! The connections that one caller at a time has.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use actix::{AsyncContext, Context, Handler, SpawnHandle};
use tokio::time::Instant;

use super::{Held, PoolActor, shared::STABLE_AFTER};
use crate::{
    dispatch::{Grant, NoGrant},
    error::Execution,
    events::Reason,
    messages::{Acquire, Released, Waiting},
    net::{Ended, Failure, Loss},
    policy::{pool::Step, redial::Redial},
    stats::count,
};

#[derive(Default)]
pub(super) struct Leasing {
    /// After a failed dial there is a pause.
    pausing: Option<SpawnHandle>,
    redial: Redial,
    /// Why the last dial failed, while none has succeeded since.
    last_error: Option<Arc<str>>,
    alarm: Option<(Instant, SpawnHandle)>,
    looking: Option<SpawnHandle>,
}

/// How often to look whether connections have ended of which nobody tells.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl Leasing {
    pub(super) fn succeeded(&mut self) {
        self.last_error = None;
    }
}

impl PoolActor {
    /// Gives connections to those who wait, and opens others for the rest.
    pub(super) fn lend(&mut self, ctx: &mut Context<Self>) {
        if self.draining.is_some() {
            return;
        }
        while let Some(step) = self.ledger.step(self.may_open(), is_gone) {
            match step {
                Step::Open(permit) => self.dial(permit, ctx),
                Step::HandOver(id, waiting) => self.hand_over(id, waiting, ctx),
            }
        }
        self.publish_waiting();
        self.look_again_for_orphans(ctx);
    }

    /// Not while the health actor is to say when the server can be reached.
    fn may_open(&self) -> bool {
        self.leasing.pausing.is_none() && self.dispatcher.dial_error.load().is_none()
    }

    /// Connections that a crashed pool has left take up room, and nobody tells this one of their end.
    pub(super) fn look_again_for_orphans(&mut self, ctx: &mut Context<Self>) {
        let own = self.connections.len() + self.dials.len();
        let has_orphans = self.dispatcher.permits.counts().total() > own;
        let is_in_want = self.ledger.waiting() > 0 || self.shared.is_empty();
        if has_orphans && is_in_want && self.leasing.looking.is_none() {
            let look = |pool: &mut Self, ctx: &mut Context<Self>| {
                pool.leasing.looking = None;
                pool.fill_shared(ctx);
                pool.lend(ctx);
            };
            self.leasing.looking = Some(ctx.run_later(LOOK_AGAIN, look));
        }
    }

    fn hand_over(&mut self, id: u64, waiting: Waiting, ctx: &mut Context<Self>) {
        let held = self.connections.get_mut(&id);
        let mailbox = held.and_then(|it| it.mailbox.clone());
        // Its end may be on its way here.
        let Some(mailbox) = mailbox.filter(|it| !it.is_closed()) else {
            self.ledger.close(id);
            let deadline = waiting.deadline.into_std();
            self.ledger.wait_again(waiting, deadline);
            return;
        };
        self.watch_lease(id, waiting.by, ctx);
        let grant = Grant::new(id, mailbox, ctx.address().recipient(), waiting.by);
        // Who has gone meanwhile drops it, which brings it back.
        let _ = waiting.answer.send(Ok(grant));
    }

    /// Its loss is not evidence of its own: what has ended it ends the shared connections as well, or
    /// is the fate of this one, and a crowd of blocked callers would count as a crowd of failures.
    pub(super) fn leased_ended(&mut self, held: &Held, ended: Ended, ctx: &mut Context<Self>) {
        let is_lost = !matches!(*ended.loss, Loss::Drained);
        if is_lost && held.opened.elapsed() < STABLE_AFTER {
            self.pause_leased_dials(Reason::ConnectionLost, ctx);
        }
        for mut request in ended.unsent {
            // It may not go to another connection: that one would lack what was done on this.
            let failure = Failure::Lost(ended.loss.clone(), Execution::NotSent);
            match request.responder.finish(Err(failure)) {
                true => count(&self.dispatcher.counters.lost),
                false => count(&self.dispatcher.counters.cancelled),
            }
        }
    }

    pub(super) fn leased_dial_failed(
        &mut self,
        reason: Reason,
        text: Arc<str>,
        ctx: &mut Context<Self>,
    ) {
        self.leasing.last_error = Some(text);
        self.pause_leased_dials(reason, ctx);
    }

    fn pause_leased_dials(&mut self, reason: Reason, ctx: &mut Context<Self>) {
        if self.leasing.pausing.is_none() {
            let pause = self.leasing.redial.pause(reason, fastrand::f64());
            let handle = ctx.run_later(pause, |pool, ctx| {
                pool.leasing.pausing = None;
                pool.lend(ctx);
            });
            self.leasing.pausing = Some(handle);
        }
    }

    fn is_connected(&self, id: u64) -> bool {
        let mailbox = self.connections.get(&id).and_then(|it| it.mailbox.as_ref());
        mailbox.is_some_and(|it| !it.is_closed())
    }

    /// Tells those who have waited for too long.
    fn expire_waiting(&mut self, ctx: &mut Context<Self>) {
        self.leasing.alarm = None;
        let now = Instant::now();
        let shared_error = self.dispatcher.dial_error.load().as_deref().cloned();
        let last_error = shared_error.or_else(|| self.leasing.last_error.clone());
        let expired = self.ledger.expire(now.into_std(), is_gone);
        // They look at it to tell how many others wait.
        self.publish_waiting();
        for waiting in expired {
            // Nobody may be left to hear it.
            let _ = waiting
                .answer
                .send(Err(NoGrant::TimedOut(last_error.clone())));
        }
        if let Some(next) = self.ledger.next_deadline() {
            self.arm_waiting(next.into(), ctx);
        }
    }

    fn arm_waiting(&mut self, at: Instant, ctx: &mut Context<Self>) {
        if let Some((armed, handle)) = self.leasing.alarm {
            if armed <= at {
                return;
            }
            ctx.cancel_future(handle);
        }
        let pause = at.saturating_duration_since(Instant::now());
        let handle = ctx.run_later(pause, Self::expire_waiting);
        self.leasing.alarm = Some((at, handle));
    }

    /// Tells all who wait that there will be no connection.
    pub(super) fn dismiss_waiting(&mut self) {
        for waiting in self.ledger.dismiss() {
            // Nobody may be left to hear it.
            let _ = waiting.answer.send(Err(NoGrant::ShuttingDown));
        }
        self.publish_waiting();
    }

    fn publish_waiting(&self) {
        let waiting = &self.dispatcher.counters.waiting;
        waiting.store(self.ledger.waiting(), Relaxed);
    }
}

pub(super) fn is_gone(waiting: &Waiting) -> bool {
    waiting.answer.is_closed()
}

impl Handler<Acquire> for PoolActor {
    type Result = ();

    fn handle(&mut self, Acquire(waiting): Acquire, ctx: &mut Self::Context) {
        let refusal = if self.draining.is_some() {
            Some(NoGrant::ShuttingDown)
        } else if self
            .ledger
            .is_crowded(self.dispatcher.settings.max_parked, is_gone)
        {
            Some(NoGrant::TooManyWait)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            // Nobody may be left to hear it.
            let _ = waiting.answer.send(Err(refusal));
            return;
        }
        let deadline = waiting.deadline;
        self.ledger.wait(waiting, deadline.into_std());
        self.lend(ctx);
        if self.ledger.waiting() > 0 {
            self.arm_waiting(deadline, ctx);
        }
    }
}

impl Handler<Released> for PoolActor {
    type Result = ();

    fn handle(&mut self, Released { id, is_clean }: Released, ctx: &mut Self::Context) {
        self.leak_watch.returned(id);
        let closed = match is_clean && self.draining.is_none() {
            true => {
                self.leasing.redial.reset();
                self.ledger.released(id, Instant::now().into_std()).err()
            }
            false => {
                self.ledger.close(id);
                Some(None)
            }
        };
        // The end of one that has ended by itself may be on its way here.
        if let (Some(eviction), true) = (closed, self.is_connected(id)) {
            match eviction {
                Some(eviction) => self.count_eviction(id, eviction),
                None => count(&self.dispatcher.counters.discarded),
            }
            self.close_leased(id);
        }
        self.lend(ctx);
        self.advance_drain(ctx);
    }
}
