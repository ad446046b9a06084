//! Leases: the request for an exclusive connection, its grant, and its return.

use std::{panic::Location, sync::Arc};

use actix::{Message, Recipient};
use tokio::time::Instant;

use crate::{net::Mailbox, policy::command::Effect};

/// The place in the caller's code where a lease was requested.
pub(crate) type Caller = &'static Location<'static>;

/// Lend me an exclusive connection, as soon as there is one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Acquire(pub(crate) Waiting);

/// A caller that waits for a connection.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) answer: oneshot::Sender<Result<Grant, NoGrant>>,
    pub(crate) deadline: Instant,
    /// The place where it was requested.
    pub(crate) by: Option<Caller>,
}

/// A leased connection was given back.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Released {
    pub(crate) id: u64,
    /// Whether the connection can be lent again: it is in the state of a new one.
    pub(crate) is_clean: bool,
}

/// An exclusive connection, until this is dropped. The pool gets it back wherever it is dropped, also on
/// the way to a caller that has gone.
#[derive(Debug)]
pub(crate) struct Grant {
    id: u64,
    mailbox: Mailbox,
    pool: Recipient<Released>,
    by: Option<Caller>,
    condition: Condition,
}

/// The state that the next caller would find on the connection.
#[derive(Debug, Default)]
struct Condition {
    was_used: bool,
    /// A command was sent and not answered, so its reply may still come.
    awaits_reply: bool,
    in_transaction: bool,
    /// The session differs from that of a new connection.
    is_changed: bool,
    /// Since the transaction began, a command was sent that voids it.
    transaction_is_void: bool,
}

/// Why there is no connection for a caller.
#[derive(Debug)]
pub(crate) enum NoGrant {
    /// The deadline passed. Holds the error of the last dial, if that failed.
    TimedOut(Option<Arc<str>>),
    /// Too many callers wait already.
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

    /// Whether no command has been sent on it yet.
    pub(crate) fn is_fresh(&self) -> bool {
        !self.condition.was_used
    }

    /// Notes that a command with this effect is being sent. The effect counts at once, because the caller
    /// may drop the call before the answer, and send more.
    pub(crate) fn begin(&mut self, effect: Effect) {
        let condition = &mut self.condition;
        condition.was_used = true;
        condition.awaits_reply = true;
        condition.transaction_is_void |= !matches!(effect, Effect::Nothing | Effect::Watches);
        match effect {
            Effect::Nothing | Effect::EndsTransaction => {}
            Effect::Watches | Effect::Queues => condition.in_transaction = true,
            Effect::Lasting => condition.is_changed = true,
        }
    }

    /// Notes that the last command is answered, and with it all earlier ones.
    pub(crate) fn settle(&mut self, has_ended_transaction: bool, is_suspect: bool) {
        let condition = &mut self.condition;
        condition.awaits_reply = false;
        condition.is_changed |= is_suspect;
        condition.in_transaction &= !has_ended_transaction;
    }

    /// Notes that a transaction begins: its keys are watched, if it has any.
    pub(crate) fn begin_transaction(&mut self) {
        self.condition.transaction_is_void = false;
    }

    /// Whether the transaction can be executed: its keys are still watched, if it has any, no command is
    /// queued, and the session has not changed.
    pub(crate) fn keeps_transaction(&self, has_keys: bool) -> bool {
        let condition = &self.condition;
        !condition.transaction_is_void && (condition.in_transaction || !has_keys)
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let condition = &self.condition;
        let is_clean =
            !condition.awaits_reply && !condition.in_transaction && !condition.is_changed;
        // If the pool has gone, the connection ends because its mailbox is dropped with this grant.
        self.pool.do_send(Released {
            id: self.id,
            is_clean,
        });
    }
}
