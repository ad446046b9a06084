//! A request on its way to a connection, and the way its answer takes back.

use std::sync::Arc;

use oneshot::AsyncReceiver;
use redis::Value;
use tokio::{sync::mpsc, time::Instant};

use super::{close::CloseReason, in_flight::InFlightPermit};
use crate::execution::{Execution, Stage};

/// Bytes to write, and who waits for what comes back.
#[derive(Debug)]
pub(crate) struct Request {
    /// One or more commands, encoded. They are written contiguously.
    pub(crate) bytes: Vec<u8>,
    pub(crate) expected: Expected,
    pub(crate) deadline: Instant,
    /// The server may keep it for as long as it likes, without being slow.
    pub(crate) may_block: bool,
    pub(crate) responder: Responder,
}

/// How many replies answer a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    One,
    Many(usize),
    /// Of subscriptions, which come as pushes where the protocol has them.
    Confirmations(usize),
}

/// The replies to a request, in the shape that it expected.
#[derive(Debug)]
pub(crate) enum Reply {
    One(Value),
    Many(Vec<Value>),
}

impl Reply {
    /// The replies of a pipeline.
    ///
    /// # Panics
    ///
    /// When one reply was expected, which is a bug.
    pub(crate) fn into_many(self) -> Vec<Value> {
        match self {
            Self::Many(values) => values,
            Self::One(_) => unreachable!("BUG: many replies were expected and one came"),
        }
    }

    /// Whether it is, or holds among the replies of a pipeline, an error.
    pub(crate) fn has_error(&self) -> bool {
        let is_error = |value: &Value| matches!(value, Value::ServerError(_));
        match self {
            Self::One(value) => is_error(value),
            Self::Many(values) => values.iter().any(is_error),
        }
    }
}

/// Why there is no reply.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The deadline passed.
    TimedOut(Stage),
    /// The deadline passed, written and so soon afterwards that the server need not be slow.
    TimedOutEarly,
    /// The connection ended; the execution state says whether the request had been written.
    Lost(Arc<CloseReason>, Execution),
    /// Too many requests wait for a connection.
    TooManyParked,
    /// The circuit has opened during the pause before an attempt.
    CircuitOpened,
    /// The supervisor is shutting down.
    ShuttingDown(Execution),
    /// Whoever held the request is gone: a task was aborted or panicked.
    Abandoned(Execution),
}

/// The answer to a request: its replies with their origin, or why there are none.
pub(crate) type Answer = Result<Answered, Failure>;

/// The replies to a request, and where they come from.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    pub(crate) origin: Origin,
}

/// Where a reply comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The server at the other end of the connection with this id, which its pool has given it.
    Connection(u64),
}

/// Where connections take requests from. It needs no bound of its own, because every request
/// holds a [`InFlightPermit`] of a bounded [`InFlight`](super::InFlight) until it is answered.
pub(crate) type Mailbox = mpsc::UnboundedSender<Request>;

/// The one answer that a request gets: given, or, when the request is dropped on the way, made up
/// truthfully from how far it had got.
#[derive(Debug)]
pub(crate) struct Responder {
    // `None` once answered.
    caller: Option<oneshot::Sender<Answer>>,
    may_be_written: bool,
    permit: Option<InFlightPermit>,
}

impl Responder {
    pub(crate) fn new(permit: InFlightPermit) -> (Self, AsyncReceiver<Answer>) {
        let (caller, answer) = oneshot::async_channel();
        let responder = Self {
            caller: Some(caller),
            may_be_written: false,
            permit: Some(permit),
        };
        (responder, answer)
    }

    /// Gives the request's room back and answers, in this order, so that a caller who has its
    /// answer finds the room. Tells whether anybody still waited.
    pub(crate) fn finish(&mut self, answer: Answer) -> bool {
        self.permit = None;
        self.answer(answer)
    }

    /// Answers while replies are still outstanding, which go on taking up room. Tells whether anybody
    /// still waited.
    pub(crate) fn answer(&mut self, answer: Answer) -> bool {
        match self.caller.take() {
            Some(caller) => caller.send(answer).is_ok(),
            None => false,
        }
    }

    /// Whether nobody waits for the answer any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.caller.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// From here on the request may have reached the server.
    pub(crate) fn mark_written(&mut self) {
        self.may_be_written = true;
    }

    /// The request turned out not to have been written after all.
    pub(crate) fn mark_unwritten(&mut self) {
        self.may_be_written = false;
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let execution = match self.may_be_written {
            true => Execution::Unknown,
            false => Execution::NotSent,
        };
        self.finish(Err(Failure::Abandoned(execution)));
    }
}
