//! The connections that one caller at a time has.

use std::time::Instant;

use actix::{AsyncContext, Context, Handler};
use tokio::time;

use super::{Event, PoolActor};
use crate::{
    messages::{Acquire, Grant, NoGrant, Released, Waiting},
    net::{Mailbox, PushInlet},
    policy::pool::{Rejection, Waiter},
};

impl Waiter for Waiting {
    fn deadline(&self) -> Instant {
        self.deadline.into_std()
    }

    fn is_gone(&self) -> bool {
        self.answer.is_gone()
    }
}

impl PoolActor {
    /// Gives a connection to a caller, unless it has ended and its end is on its way here.
    pub(super) fn hand_over(
        &mut self,
        id: u64,
        waiter: Waiting,
        now: time::Instant,
        ctx: &mut Context<Self>,
    ) -> Result<(), Event> {
        let lent = self.open_mailbox(id).cloned().zip(self.push_inlet(id));
        let Some((mailbox, pushes)) = lent else {
            return Err(Event::NotHandedOver { id, waiter });
        };
        self.watch_lease(id, waiter.by, now);
        if let Some(held) = self.connections.get_mut(&id) {
            held.lent = Some(now);
        }
        let grant = Grant::new(id, mailbox, pushes, ctx.address().recipient(), waiter.by);
        // A caller that has gone meanwhile drops it, which brings it back.
        let _ = waiter.answer.send(Ok(grant));
        Ok(())
    }

    pub(super) fn reject(&self, waiter: Waiting, why: Rejection) {
        // The caller looks at it to tell how many others wait.
        self.publish_waiting();
        let why = match why {
            Rejection::TimedOut => NoGrant::TimedOut,
            Rejection::TooManyWait => NoGrant::TooManyWait,
            Rejection::ShuttingDown => NoGrant::ShuttingDown,
        };
        // The caller may have gone.
        let _ = waiter.answer.send(Err(why));
    }

    fn push_inlet(&self, id: u64) -> Option<PushInlet> {
        Some(self.connections.get(&id)?.pushes.clone())
    }

    fn open_mailbox(&self, id: u64) -> Option<&Mailbox> {
        let route = self.connections.get(&id)?.route.as_ref()?;
        Some(&route.mailbox).filter(|mailbox| !mailbox.is_closed())
    }
}

impl Handler<Acquire> for PoolActor {
    type Result = ();

    fn handle(&mut self, Acquire(waiting): Acquire, ctx: &mut Self::Context) {
        self.turn(Event::Acquired(waiting), ctx);
    }
}

impl Handler<Released> for PoolActor {
    type Result = ();

    fn handle(&mut self, released: Released, ctx: &mut Self::Context) {
        let Released {
            id,
            is_clean,
            is_suspect,
        } = released;
        self.leak_watch.returned(id);
        let held = self.connections.get_mut(&id);
        if let Some(lent) = held.and_then(|held| held.lent.take()) {
            self.state.counters.use_time.record(lent.elapsed());
        }
        self.note_introduction(id);
        if is_clean {
            self.authenticate_returned(id, ctx);
        }
        let event = Event::Released {
            id,
            is_clean,
            is_suspect,
            is_open: self.open_mailbox(id).is_some(),
        };
        self.turn(event, ctx);
    }
}
