//! A caller that waits for the server's confirmation.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use oneshot::{AsyncReceiver, Sender};
use redis::ServerError;
use tokio::time::Instant;

use super::Subscribers;
use crate::policy::subscriptions::Ticket;

/// Why nothing was subscribed.
#[derive(Clone, Debug)]
pub(crate) enum NotJoined {
    /// The server refuses one of the channels.
    Refused(ServerError),
    TimedOut {
        /// It waited for the server's answer, and otherwise for a connection.
        is_connected: bool,
        /// Why the last dial has failed.
        last_error: Option<Arc<str>>,
    },
    CircuitOpened,
    /// The queue of the subscriber was too full, so that its subscription is over.
    Overflowed {
        max_messages: usize,
    },
    /// The database has ended.
    Ended,
}

/// The other end of a [`Joining`].
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) deadline: Instant,
    pub(super) is_patient: bool,
    answer: Sender<Result<(), NotJoined>>,
}

impl Waiting {
    pub(super) fn new(
        deadline: Instant,
        is_patient: bool,
    ) -> (Self, AsyncReceiver<Result<(), NotJoined>>) {
        let (answer, answered) = oneshot::async_channel();
        let waiting = Self {
            deadline,
            is_patient,
            answer,
        };
        (waiting, answered)
    }

    pub(super) fn tell(self, answer: Result<(), NotJoined>) {
        // The caller may have gone.
        let _ = self.answer.send(answer);
    }
}

/// The wait of a caller. Dropped before its end, it takes back what was asked for.
#[derive(Debug)]
pub(crate) struct Joining {
    subscribers: Arc<Subscribers>,
    /// `None` if there is nothing to be taken back.
    ticket: Option<Ticket>,
    answer: AsyncReceiver<Result<(), NotJoined>>,
}

impl Joining {
    pub(super) fn new(
        subscribers: Arc<Subscribers>,
        ticket: Option<Ticket>,
        answer: AsyncReceiver<Result<(), NotJoined>>,
    ) -> Self {
        Self {
            subscribers,
            ticket,
            answer,
        }
    }
}

impl Future for Joining {
    type Output = Result<(), NotJoined>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(Pin::new(&mut self.answer).poll(cx));
        self.ticket = None;
        let Ok(answer) = answer else {
            unreachable!(
                "BUG: a caller that waits for a confirmation was dropped without an answer"
            );
        };
        Poll::Ready(answer)
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.subscribers.cancel(ticket);
        }
    }
}
