//! The one timer of a connection.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Rings at the earliest time it was asked for. Later times cost a comparison only, so a stream
/// of commands with the same timeout sets the timer once per timeout, not once per command.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: Option<Instant>,
}

impl Alarm {
    /// Makes sure that it rings at `at` or earlier.
    pub(crate) fn arm(&mut self, at: Instant) {
        if self.armed.is_some_and(|armed| armed <= at) {
            return;
        }
        self.armed = Some(at);
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(at),
            // Made late, because it needs the runtime that the connection runs on.
            None => self.sleep = Some(Box::pin(sleep_until(at))),
        }
    }

    /// Ready once per ring.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(sleep), Some(_)) = (&mut self.sleep, self.armed) else {
            return Poll::Pending;
        };
        ready!(sleep.as_mut().poll(cx));
        self.armed = None;
        Poll::Ready(())
    }
}
