//! Deadlines that pass, and the marks after which a command is slow.

use std::{mem, task::Context, time::Duration};

use tokio::time::Instant;

use super::{Connection, Tally};
use crate::{
    execution::Stage,
    net::{
        close::CloseReason,
        request::{Failure, Request},
    },
};

/// Before a deadline passes, at most so many bytes are read at once and for so long, so that endless input
/// postpones no deadline. It is more than a system holds for one socket by default.
const CATCH_UP: usize = 16 * 1024 * 1024;
const CATCH_UP_TIME: Duration = Duration::from_millis(50);
/// A timer that fires later than this, and later than the time in which a command becomes slow, shows that
/// this process stood still.
const STALL: Duration = Duration::from_millis(100);
/// A reply may be read over for so many times the time in which a command becomes slow.
const READ_OVER: u32 = 5;

impl Connection {
    /// Answers the callers whose deadline has passed, and counts slow commands.
    ///
    /// Whatever the operating system holds by then is read and handed out before. After a stall of this
    /// process that is all that the server has sent, although the runtime may not know of it yet. Then the
    /// server is also given anew the time in which a healthy reply comes.
    pub(super) fn watch_deadlines(
        &mut self,
        cx: &mut Context<'_>,
        is_busy: bool,
        tally: &mut Tally,
    ) -> Result<(), CloseReason> {
        while let Some(armed) = self.timer.fires(cx, is_busy) {
            let now = Instant::now();
            self.look_at_maintenance(now);
            if self.pending.is_due(now) || self.silence.exceeded(now).is_some() {
                self.catch_up(cx, now, tally)?;
            }
            if now.saturating_duration_since(armed) >= self.slow.max(STALL) {
                self.pending.postpone_slow(now + self.slow);
                self.silence.begin_again(now);
            }
            let read_over = self.watch_reading_over(now)?;
            let in_flight = self.pending.watch(now, tally);
            self.silence.note_timeouts(in_flight.expired, now);
            let queued = self.expire_queued(now, tally);
            if let Some(silent) = self.silence.exceeded(now) {
                return Err(CloseReason::Silent(silent));
            }
            let next = [in_flight.next, queued, read_over, self.silence.deadline()];
            match next.into_iter().flatten().min() {
                Some(next) => self.timer.arm(next),
                None => self.give_back_memory(),
            }
        }
        Ok(())
    }

    /// Reads the input that the operating system holds, and hands out all replies in it.
    pub(super) fn catch_up(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        tally: &mut Tally,
    ) -> Result<(), CloseReason> {
        let mut taken = 0;
        self.answer_all(tally)?;
        // Input that did not end the last time is read in the usual turns.
        while !self.is_flooded {
            match self.inbox.read_now(&mut *self.transport)? {
                None => break,
                Some(0) => return Err(CloseReason::ClosedByServer),
                Some(read) => taken += read,
            }
            self.silence.end();
            self.answer_all(tally)?;
            if taken >= CATCH_UP || now.elapsed() >= CATCH_UP_TIME {
                self.is_flooded = true;
                cx.waker().wake_by_ref();
            }
        }
        Ok(())
    }

    /// While a reply is read over, the commands behind it say nothing about the server. If it takes too
    /// long, another connection serves them sooner. Returns the time of the next check.
    fn watch_reading_over(&mut self, now: Instant) -> Result<Option<Instant>, CloseReason> {
        let Some(limit) = self.inbox.exceeded() else {
            self.reads_over_until = None;
            return Ok(None);
        };
        let until = *self
            .reads_over_until
            .get_or_insert(now + READ_OVER * self.slow);
        if until <= now {
            return Err(CloseReason::ReadOver(limit));
        }
        self.pending.postpone_slow(now + self.slow);
        Ok(Some(until))
    }

    /// Frees the memory that was only needed under load. The timer fires during every command or soon
    /// after, so a connection that has become idle gets here without a timer of its own.
    fn give_back_memory(&mut self) {
        self.arrived = Vec::new();
        self.queued.shrink_to_fit();
        self.pending.shrink();
        self.outbox.shrink();
        self.inbox.shrink();
        self.transport.shrink();
    }

    fn expire_queued(&mut self, now: Instant, tally: &mut Tally) -> Option<Instant> {
        let mut queued = mem::take(&mut self.queued);
        let mut next = None;
        queued.retain_mut(|request| {
            let end = self.end_of(request);
            if end <= now {
                expire(request, tally);
                return false;
            }
            next = next.into_iter().chain([end]).min();
            true
        });
        self.queued = queued;
        next
    }
}

/// Answers a request whose deadline passed before it was packed.
pub(super) fn expire(request: &mut Request, tally: &mut Tally) {
    let failure = Failure::TimedOut(Stage::Queue);
    let has_told = request.responder.finish(Err(failure));
    tally.count(&request.responder, has_told, |tally| &mut tally.timed_out);
}
