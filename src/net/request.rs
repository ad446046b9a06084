//! A request to a connection, and the way of its answer to the caller.

use std::{fmt, sync::Arc};

use oneshot::AsyncReceiver;
use tokio::{sync::mpsc, time::Instant};

use super::{
    close::CloseReason, codec::ReplyLimit, confirmation::Confirmation, in_flight::InFlightPermit,
    redirects::RedirectedReply, reply::Reply,
};
use crate::execution::{Execution, Stage};

/// Bytes to write, and the responder for the caller that waits for the replies.
pub(crate) struct Request {
    /// One or more commands, encoded. They are written contiguously.
    pub(crate) bytes: Vec<u8>,
    pub(crate) expected: Expected,
    /// When its call began, from which the latency is counted; `None` for a request of this crate's own.
    pub(crate) began: Option<Instant>,
    pub(crate) deadline: Instant,
    /// The command may block on the server, which does not make the server slow.
    pub(crate) may_block: bool,
    /// Its reply may be of any size, and so may be what ends the connection.
    pub(crate) may_be_large: bool,
    /// Before it, its connection may ask the server for its own [`ClientId`](super::ClientId).
    pub(crate) may_introduce: bool,
    pub(crate) responder: Responder,
}

impl Request {
    /// A request that neither blocks, nor has a reply of any size, nor has its latency measured.
    #[inline]
    pub(crate) fn new(
        bytes: Vec<u8>,
        expected: Expected,
        deadline: Instant,
        responder: Responder,
    ) -> Self {
        Self {
            bytes,
            expected,
            began: None,
            deadline,
            may_block: false,
            may_be_large: false,
            may_introduce: false,
            responder,
        }
    }
}

/// The bytes may be secret, so only their number is shown.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("bytes", &self.bytes.len())
            .field("expected", &self.expected)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// The replies that answer a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    One,
    Many(usize),
    /// So many confirmations of subscriptions, which are pushes in RESP3 and arrays in RESP2.
    Confirmations(Confirmation, usize),
}

/// Why there is no reply.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The deadline passed.
    TimedOut(Stage),
    /// The deadline passed so soon after the request was written that the server need not be slow.
    TimedOutEarly,
    /// A reply came and exceeded a limit.
    ReplyTooLarge(ReplyLimit),
    /// The connection ended; the execution state says whether the request had been written.
    Lost(Arc<CloseReason>, Execution),
    /// Too many requests wait for a connection.
    TooManyParked,
    /// The circuit has opened while the request waited, and its caller does not wait for recovery.
    CircuitOpened,
    /// The supervisor is shutting down.
    ShuttingDown(Execution),
    /// The request was dropped: the task that held it was aborted or panicked.
    Abandoned(Execution),
}

/// The answer to a request: its replies with their origin, or the reason for which there are none.
pub(crate) type Answer = Result<Answered, Failure>;

/// The replies to a request, and their origin.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    pub(crate) origin: Origin,
    /// Its redirects, if it sends its caller to other nodes of a cluster.
    pub(crate) redirects: Option<Box<RedirectedReply>>,
}

/// The origin of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The server of the connection with this id, which its pool has given it.
    Connection(u64),
}

/// The queue from which a connection takes requests. It needs no bound of its own, because every request
/// holds an [`InFlightPermit`] of a bounded [`InFlight`](super::InFlight) until it is answered.
pub(crate) type Mailbox = mpsc::UnboundedSender<Request>;

/// Gives a request exactly one answer. If the request is dropped on the way, the answer is made here, with
/// its true execution state.
#[derive(Debug)]
pub(crate) struct Responder {
    // `None` once answered.
    caller: Option<oneshot::Sender<Answer>>,
    may_be_written: bool,
    is_patient: bool,
    keeps_texts: bool,
    /// On another connection the request would mean something else.
    is_bound: bool,
    /// It is a question of this crate's own, which statistics do not count.
    is_own: bool,
    permit: Option<InFlightPermit>,
    // Kept where no caller wants the answer, so that the request is not taken for a cancelled one.
    unheard: Option<AsyncReceiver<Answer>>,
}

impl Responder {
    pub(crate) fn new(permit: InFlightPermit) -> (Self, AsyncReceiver<Answer>) {
        Self::with(Some(permit))
    }

    /// For a request of this crate's own, which takes no room from callers and is not counted.
    pub(crate) fn own() -> (Self, AsyncReceiver<Answer>) {
        Self::with(None)
    }

    fn with(permit: Option<InFlightPermit>) -> (Self, AsyncReceiver<Answer>) {
        let (caller, answer) = oneshot::async_channel();
        let responder = Self {
            caller: Some(caller),
            may_be_written: false,
            is_patient: false,
            keeps_texts: false,
            is_bound: false,
            is_own: permit.is_none(),
            permit,
            unheard: None,
        };
        (responder, answer)
    }

    /// For a request that is sent although no caller wants its answer.
    pub(crate) fn unheard(permit: InFlightPermit) -> Self {
        let (mut responder, answer) = Self::new(permit);
        responder.unheard = Some(answer);
        responder
    }

    /// The caller waits while the circuit is open, if `is_patient`.
    pub(crate) fn set_patience(&mut self, is_patient: bool) {
        self.is_patient = is_patient;
    }

    /// The request is for one connection, and is not sent over another one.
    pub(crate) fn bind(&mut self) {
        self.is_bound = true;
    }

    pub(crate) fn is_bound(&self) -> bool {
        self.is_bound
    }

    /// The caller gets error texts of the server as they are, with what they quote of its command.
    pub(crate) fn set_keeps_texts(&mut self, keeps_texts: bool) {
        self.keeps_texts = keeps_texts;
    }

    pub(crate) fn keeps_texts(&self) -> bool {
        self.keeps_texts
    }

    pub(crate) fn is_own(&self) -> bool {
        self.is_own
    }

    pub(crate) fn is_patient(&self) -> bool {
        self.is_patient
    }

    /// Gives the request's room back and answers, in this order, so that a caller that has its answer finds
    /// the room. Tells whether the caller still waited.
    pub(crate) fn finish(&mut self, mut answer: Answer) -> bool {
        if let Some(permit) = self.permit.take()
            && let Ok(answered) = &mut answer
        {
            answered.redirects = permit.redirected(&answered.reply);
        }
        self.answer(answer)
    }

    /// Answers while replies are still outstanding; the request keeps its room until they have come. Tells
    /// whether the caller still waited.
    pub(crate) fn answer(&mut self, answer: Answer) -> bool {
        match self.caller.take() {
            Some(caller) => caller.send(answer).is_ok(),
            None => false,
        }
    }

    /// Whether the caller has gone or has its answer.
    pub(crate) fn is_gone(&self) -> bool {
        self.caller.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Whether a caller learns what becomes of the request, and so can report it.
    pub(crate) fn is_heard(&self) -> bool {
        self.unheard.is_none() && !self.is_gone()
    }

    /// From now on the request may reach the server.
    pub(crate) fn mark_written(&mut self) {
        self.may_be_written = true;
    }

    /// The request was not written after all.
    pub(crate) fn mark_unwritten(&mut self) {
        self.may_be_written = false;
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let execution = if self.may_be_written {
            Execution::Unknown
        } else {
            Execution::NotSent
        };
        self.finish(Err(Failure::Abandoned(execution)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::InFlight;

    #[test]
    fn the_bytes_of_a_request_are_not_shown() {
        let bytes = b"canary";
        let permit = InFlight::new(None, 1, 6).enter(6).expect("room");
        let responder = Responder::new(permit).0;
        let request = Request::new(bytes.to_vec(), Expected::One, Instant::now(), responder);
        let shown = format!("{request:?}");
        let numbers = format!("{bytes:?}");
        assert!(shown.contains("bytes: 6"), "{shown}");
        assert!(
            !shown.contains(&numbers) && !shown.contains("canary"),
            "{shown}"
        );
    }
}
