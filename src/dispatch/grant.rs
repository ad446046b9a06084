//! A connection that one caller has.

use std::sync::Arc;

use actix::Recipient;

use super::exclusive::Caller;
use crate::{messages::Released, net::Mailbox, policy::command::Effect};

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

    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Whether the connection has not ended.
    pub(crate) fn is_open(&self) -> bool {
        !self.mailbox.is_closed()
    }

    pub(super) fn by(&self) -> Option<Caller> {
        self.by
    }

    /// Whether nothing has been sent on it yet.
    pub(super) fn is_fresh(&self) -> bool {
        !self.condition.was_used
    }

    /// Something is sent. What it leaves behind counts from now on, because whoever has sent it may
    /// not wait for the answer, and send more.
    pub(super) fn begin(&mut self, effect: Effect) {
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
    pub(super) fn settle(&mut self, has_ended_transaction: bool, is_suspect: bool) {
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
