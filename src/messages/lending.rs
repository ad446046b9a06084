//! Leases: the request for an exclusive connection, its grant, and its return.

use std::{
    panic::Location,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use actix::{Message, Recipient};
use tokio::time::Instant;

use crate::{
    net::{Mailbox, PushInlet, PushSink},
    policy::session::Session,
};

/// The place in the caller's code where a lease was requested.
pub(crate) type Caller = &'static Location<'static>;

/// Lend me an exclusive connection, as soon as there is one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Acquire(pub(crate) Waiting);

/// A caller that waits for a connection.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) answer: Arc<LeaseAnswer>,
    pub(crate) deadline: Instant,
    /// It waits while the circuit is open.
    pub(crate) is_patient: bool,
    /// The place where it was requested.
    pub(crate) by: Option<Caller>,
}

/// The way of the answer to one caller. The pool answers, or at the deadline the keeper of deadlines, or who opens the circuit. If it is
/// dropped unanswered, the caller learns that the pool has gone.
#[derive(Debug)]
pub(crate) struct LeaseAnswer(Mutex<Option<LeaseSender>>);

type LeaseSender = oneshot::Sender<Result<Grant, NoGrant>>;

impl LeaseAnswer {
    pub(crate) fn new(sender: LeaseSender) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(sender))))
    }

    /// Answers, unless that was done or the caller has gone. Then the answer comes back.
    pub(crate) fn send(
        &self,
        answer: Result<Grant, NoGrant>,
    ) -> Result<(), Result<Grant, NoGrant>> {
        // Taken first, so that the caller is woken without the lock.
        let sender = self.sender().take();
        match sender {
            Some(sender) => sender.send(answer).map_err(oneshot::SendError::into_inner),
            None => Err(answer),
        }
    }

    /// Whether the caller has gone or has its answer.
    pub(crate) fn is_gone(&self) -> bool {
        self.sender().as_ref().is_none_or(LeaseSender::is_closed)
    }

    fn sender(&self) -> MutexGuard<'_, Option<LeaseSender>> {
        // A panic elsewhere cannot have left it half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A leased connection was given back.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Released {
    pub(crate) id: u64,
    /// Whether the connection can be lent again: it is in the state of a new one.
    pub(crate) is_clean: bool,
    /// It may lead to the wrong server.
    pub(crate) is_suspect: bool,
}

/// An exclusive connection, until this is dropped. The pool gets it back wherever it is dropped, also on
/// the way to a caller that has gone.
#[derive(Debug)]
pub(crate) struct Grant {
    id: u64,
    mailbox: Mailbox,
    pushes: PushInlet,
    pool: Recipient<Released>,
    by: Option<Caller>,
    /// The state that the next caller would find on it.
    pub(crate) session: Session,
}

/// Why there is no connection for a caller.
#[derive(Debug)]
pub(crate) enum NoGrant {
    /// The deadline passed.
    TimedOut,
    /// Too many callers wait already.
    TooManyWait,
    /// The circuit has opened, and the caller does not wait for recovery.
    CircuitOpened,
    ShuttingDown,
}

impl Grant {
    pub(crate) fn new(
        id: u64,
        mailbox: Mailbox,
        pushes: PushInlet,
        pool: Recipient<Released>,
        by: Option<Caller>,
    ) -> Self {
        Self {
            id,
            mailbox,
            pushes,
            pool,
            by,
            session: Session::default(),
        }
    }

    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Hands all later pushes of the connection to this sink. The connection goes to no other caller.
    pub(crate) fn listen(&mut self, sink: Box<dyn PushSink>) {
        self.session.change();
        self.pushes.put(sink);
    }

    /// Whether the connection has not ended.
    pub(crate) fn is_open(&self) -> bool {
        !self.mailbox.is_closed()
    }

    pub(crate) fn by(&self) -> Option<Caller> {
        self.by
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        // If the pool has gone, the connection ends because its mailbox is dropped with this grant.
        self.pool.do_send(Released {
            id: self.id,
            is_clean: self.session.is_clean(),
            is_suspect: self.session.is_suspect(),
        });
    }
}
