//! The one timer of a connection.

use std::{future::Future, pin::Pin, task::Context};

use tokio::time::{Instant, Sleep, sleep_until};

/// Fires at the earliest time for which it was armed. Arming it for a later time costs a comparison only,
/// so a stream of commands with the same timeout sets the timer once per timeout, not once per command.
#[derive(Debug, Default)]
pub(crate) struct DeadlineTimer {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: Option<Instant>,
}

impl DeadlineTimer {
    /// Makes sure that it fires at `at` or earlier.
    pub(crate) fn arm(&mut self, at: Instant) {
        if self.armed.is_some_and(|armed| armed <= at) {
            return;
        }
        self.armed = Some(at);
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(at),
            // Created on first use, because it needs the runtime that the connection runs on.
            None => self.sleep = Some(Box::pin(sleep_until(at))),
        }
    }

    /// The time for which it was armed, if it fires now, which it does once. Otherwise the task is woken
    /// when it does.
    ///
    /// A busy task can keep its runtime from checking timers for long, so then the clock is read.
    pub(crate) fn fires(&mut self, cx: &mut Context<'_>, is_busy: bool) -> Option<Instant> {
        let (sleep, armed) = (self.sleep.as_mut()?, self.armed?);
        let is_due = is_busy && armed <= Instant::now();
        let fires = is_due || sleep.as_mut().poll(cx).is_ready();
        self.armed.take_if(|_| fires)
    }
}
