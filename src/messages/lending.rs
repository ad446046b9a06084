//! Asking for a connection of one's own, having it, and giving it back.

use std::{panic::Location, sync::Arc};

use actix::{Message, Recipient};
use tokio::time::Instant;

use crate::{net::Mailbox, policy::command::Effect};

/// Where a lease was asked for.
pub(crate) type Caller = &'static Location<'static>;

/// Give me a connection that nobody else uses, as soon as there is one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Acquire(pub(crate) Waiting);

/// Who waits for a connection, and until when.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) answer: oneshot::Sender<Result<Grant, NoGrant>>,
    pub(crate) deadline: Instant,
    /// Where it was asked for.
    pub(crate) by: Option<Caller>,
}

/// A leased connection is given back.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Released {
    pub(crate) id: u64,
    /// Whether the next who leases it would find it as if it were new.
    pub(crate) is_clean: bool,
}

/// A connection that nobody else uses until this is dropped. The pool gets it back wherever that
/// happens, also on the way to a caller who has gone.
#[derive(Debug)]
pub(crate) struct Grant {
    id: u64,
    mailbox: Mailbox,
    pool: Recipient<Released>,
    by: Option<Caller>,
    condition: Condition,
}

/// What the next who leases the connection would find.
#[derive(Debug, Default)]
struct Condition {
    was_used: bool,
    /// A command was sent whose answer did not come, so it may still come.
    is_busy: bool,
    in_transaction: bool,
    is_changed: bool,
    /// Something was sent that a transaction does not survive, since one began.
    has_strayed: bool,
}

/// Why there is no connection for a caller.
#[derive(Debug)]
pub(crate) enum NoGrant {
    /// The deadline passed. Why the last attempt to open one failed, if the last failed.
    TimedOut(Option<Arc<str>>),
    /// Too many wait already.
    TooManyWait,
    ShuttingDown,
}

impl Grant {
    pub(crate) fn new(
        id: u64,
        mailbox: Mailbox,
        pool: Recipient<Released>,
        by: Option<Caller>,
    ) -> Self {
        Self {
            id,
            mailbox,
            pool,
            by,
            condition: Condition::default(),
        }
    }

    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Whether the connection has not ended.
    pub(crate) fn is_open(&self) -> bool {
        !self.mailbox.is_closed()
    }

    pub(crate) fn by(&self) -> Option<Caller> {
        self.by
    }

    /// Whether nothing has been sent on it yet.
    pub(crate) fn is_fresh(&self) -> bool {
        !self.condition.was_used
    }

    /// Something is sent. What it leaves behind counts from now on, because whoever has sent it may
    /// not wait for the answer, and send more.
    pub(crate) fn begin(&mut self, effect: Effect) {
        let condition = &mut self.condition;
        condition.was_used = true;
        condition.is_busy = true;
        condition.has_strayed |= !matches!(effect, Effect::Nothing | Effect::Watches);
        match effect {
            Effect::Nothing | Effect::EndsTransaction => {}
            Effect::Watches | Effect::Queues => condition.in_transaction = true,
            Effect::Lasting => condition.is_changed = true,
        }
    }

    /// It is answered, and so is what was sent before.
    pub(crate) fn settle(&mut self, has_ended_transaction: bool, is_suspect: bool) {
        let condition = &mut self.condition;
        condition.is_busy = false;
        condition.is_changed |= is_suspect;
        condition.in_transaction &= !has_ended_transaction;
    }

    /// A transaction begins: keys are watched, if there are any.
    pub(crate) fn begin_transaction(&mut self) {
        self.condition.has_strayed = false;
    }

    /// Whether it can be executed: keys are still watched, if there were any, nothing is queued, and
    /// the connection is what it was.
    pub(crate) fn keeps_transaction(&self, has_keys: bool) -> bool {
        let condition = &self.condition;
        !condition.has_strayed && (condition.in_transaction || !has_keys)
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let condition = &self.condition;
        let is_clean = !condition.is_busy && !condition.in_transaction && !condition.is_changed;
        // Without the pool the connection ends when its mailbox is dropped with this.
        self.pool.do_send(Released {
            id: self.id,
            is_clean,
        });
    }
}
