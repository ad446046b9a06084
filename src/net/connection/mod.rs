//! One socket, and the pipelined conversation on it.

mod activity;
mod deadline;
mod ending;
mod entry;
mod exit;
mod inbox;
mod latencies;
mod outbox;
mod overdue;
mod pending;
mod pushes;
mod relaxation;
mod saturation;
mod silence;
mod subscriptions;
mod tally;

pub(crate) use activity::Activity;
pub(crate) use exit::{ConnectionExit, UnsentSink};
pub(super) use inbox::Inbox;
pub(crate) use latencies::Latencies;
pub(super) use outbox::Outbox;
pub(crate) use pushes::{PushInlet, PushSink, PushSlot};
pub(super) use subscriptions::kind as push_kind;
pub(crate) use tally::{Tally, TallySink};

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use redis::Value;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use self::{
    deadline::DeadlineTimer,
    overdue::expire,
    pending::{PendingReplies, Taken, Times},
    relaxation::Relaxation,
    saturation::Saturation,
    silence::Silence,
};
use super::{
    client_id::ClientId,
    close::CloseReason,
    codec::Decoded,
    dial::Established,
    request::{Mailbox, Origin, Request},
    transport::Transport,
};
use crate::{config::DatabaseSettings, maintenance::Bulletin};

/// Requests are packed for writing up to this many bytes ahead of the socket. A request that is not packed
/// was provably not sent, so this bounds the requests that a broken connection leaves unknown.
const PACK_AHEAD: usize = 256 * 1024;
/// A batch of this many requests is written at once, without waiting for more.
const FULL_BATCH: usize = 16;
/// A turn answers a third of the pending requests, but at least [`MIN_ANSWERS`]. If it answered all, their
/// callers would send the next requests all together, and server and client would wait for each other in
/// turns instead of working at the same time.
const ANSWERED_SHARE: usize = 3;
const MIN_ANSWERS: usize = 16;
const RECEIVE_AT_ONCE: usize = 256;
/// After this many bytes a turn stops reading, so that it writes and other tasks run.
const READ_AT_ONCE: usize = 64 * 1024;
/// After this idle time the socket is checked for input before it is used. A connection under load is
/// never idle for so long, so it does not pay for the system call.
const IDLE_CHECK: Duration = Duration::from_millis(1);
/// Longer than any deadline.
const NEVER: Duration = Duration::from_secs(2 * 365 * 24 * 60 * 60);
/// A command that takes longer than this share of the attempt timeout is slow.
const SLOW_SHARE: f64 = 0.8;

/// Owns one socket: takes requests from its mailbox, writes them in batches, and hands every reply to the
/// request that it answers. It ends when the last sender of its mailbox is dropped and all requests are
/// answered, or when the socket breaks. Reading, writing and waiting always advance together: a server that
/// stops reading until its replies are read cannot block it.
pub(crate) struct Connection {
    transport: Box<dyn Transport>,
    mailbox: mpsc::UnboundedReceiver<Request>,
    mailbox_is_closed: bool,
    // Dropped after the mailbox, so that a request that finds it closed waits for its return. `None` once
    // nothing can be left to give back.
    unsent: Option<Box<dyn UnsentSink>>,
    // `None` once the pool has gone without stopping it.
    stop: Option<oneshot::Receiver<CloseReason>>,
    arrived: Vec<Request>,
    queued: VecDeque<Request>,
    has_yielded: bool,
    outbox: Outbox,
    pending: PendingReplies,
    inbox: Inbox,
    timer: DeadlineTimer,
    silence: Silence,
    relaxation: Relaxation,
    /// More input came than could be read before a deadline passed.
    is_flooded: bool,
    /// The time at which a reply that is read over must have ended.
    reads_over_until: Option<Instant>,
    /// A command that takes longer is slow.
    slow: Duration,
    /// A command that may block is outstanding.
    is_blocked: bool,
    saturation: Option<Saturation>,
    pushes: PushSlot,
    /// Pushes that came before there was a connection.
    early: Vec<Value>,
    announces: bool,
    bulletin: Option<watch::Sender<Bulletin>>,
    activity: Arc<Activity>,
    counters: Arc<dyn TallySink>,
}

/// The ties of a connection to its pool.
pub(crate) struct Link {
    /// Handed out with each reply.
    pub(crate) origin: Origin,
    /// A message ends the connection at once, for this reason. If the sender is dropped, the connection drains.
    pub(crate) stop: oneshot::Receiver<CloseReason>,
    /// Notified when the connection is saturated; `None` where another connection could not help.
    pub(crate) saturated: Option<mpsc::Sender<()>>,
    /// Takes back requests that were not written. If there is none, their callers learn that they were not
    /// sent: they were for this connection alone.
    pub(crate) unsent: Option<Box<dyn UnsentSink>>,
    /// The place for the sink of its pushes.
    pub(crate) pushes: PushSlot,
    /// Takes what the server announces of its maintenance and what is not about this connection alone; `None` where that
    /// is of no use.
    pub(crate) bulletin: Option<watch::Sender<Bulletin>>,
}

impl Connection {
    pub(crate) fn new(
        established: Established,
        settings: &DatabaseSettings,
        counters: Arc<dyn TallySink>,
        link: Link,
    ) -> (Mailbox, Arc<Activity>, Self) {
        let (sender, mailbox) = mpsc::unbounded_channel();
        let activity = Arc::new(Activity::starting(Instant::now()));
        let connection = Self {
            transport: established.transport,
            mailbox,
            mailbox_is_closed: false,
            unsent: link.unsent,
            stop: Some(link.stop),
            arrived: Vec::new(),
            queued: VecDeque::new(),
            has_yielded: false,
            outbox: Outbox::default(),
            pending: PendingReplies::new(link.origin),
            inbox: Inbox::new(established.decoder, established.input),
            timer: DeadlineTimer::default(),
            silence: Silence::new(2 * settings.attempt_timeout),
            relaxation: Relaxation::new(settings),
            is_flooded: false,
            reads_over_until: None,
            slow: settings.attempt_timeout.mul_f64(SLOW_SHARE),
            is_blocked: false,
            saturation: link.saturated.map(Saturation::new),
            pushes: link.pushes,
            early: established.early,
            announces: established.announces,
            bulletin: link.bulletin,
            activity: activity.clone(),
            counters,
        };
        (sender, activity, connection)
    }

    /// Runs until the connection ends, which is at once when it is told to stop. Replies that have arrived are
    /// handed out before. Dropping the future closes the socket as well. Every unanswered request is then
    /// answered with its true execution state.
    pub(crate) async fn run(mut self) -> ConnectionExit {
        for push in mem::take(&mut self.early) {
            self.take_announcement(&push);
        }
        let loss = poll_fn(|cx| self.poll(cx)).await;
        // After the close, senders choose another connection. The requests in the mailbox are kept, to be
        // sent elsewhere, and before later ones.
        if let Some(unsent) = &self.unsent {
            unsent.hold();
        }
        self.mailbox.close();
        while let Some(request) = self.mailbox.recv().await {
            self.queued.push_back(request);
        }
        self.end(loss)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let mut tally = Tally::default();
        let (waiting, written_before) = (self.pending.len(), self.outbox.written());
        let saturation = self.saturation.as_mut();
        let turn = saturation.and_then(|saturation| saturation.begin(waiting));
        let ended = self.advance(cx, &mut tally);
        if let (Some(saturation), Some(turn)) = (&mut self.saturation, turn) {
            saturation.end(turn);
        }
        tally.bytes_received = self.inbox.take_received();
        tally.bytes_sent = self.outbox.written() - written_before;
        self.counters.add(&tally);
        let outstanding = self.pending.len() + self.queued.len();
        self.activity.set_outstanding(outstanding);
        if self.is_blocked && outstanding == 0 {
            self.is_blocked = false;
            self.activity.set_blocked(false);
        }
        match ended {
            Ok(()) => Poll::Pending,
            Err(loss) => Poll::Ready(loss),
        }
    }

    fn advance(&mut self, cx: &mut Context<'_>, tally: &mut Tally) -> Result<(), CloseReason> {
        if let Err(reason) = self.check_stop(cx) {
            // A reply that has arrived may hold what a command has popped.
            return match self.catch_up(cx, Instant::now(), tally) {
                Err(loss) if !loss.leaves_replies_in_step() => Err(loss),
                _ => Err(reason),
            };
        }
        let has_more = self.read(cx, tally)?;
        if has_more {
            // Other tasks run before the rest is read.
            cx.waker().wake_by_ref();
        }
        self.receive(cx);
        if self.yields_for_a_larger_batch(cx) {
            return Ok(());
        }
        // With no request pending, unread input is unsolicited: read it before writing, or it would be
        // taken for the next reply.
        if !(has_more && self.pending.is_empty()) {
            self.write(cx, tally)?;
        }
        self.watch_deadlines(cx, has_more, tally)?;
        if !self.mailbox_is_closed || !self.queued.is_empty() {
            return Ok(());
        }
        if self.outbox.is_flushed() {
            // It has nothing to give back any more, so later requests need not wait for its replies.
            self.unsent = None;
        }
        if self.pending.is_settled() {
            return Err(CloseReason::Drained);
        }
        Ok(())
    }

    fn check_stop(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        let Some(stop) = &mut self.stop else {
            return Ok(());
        };
        match Pin::new(stop).poll(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(reason)) => Err(reason),
            // The pool has crashed. The connection serves the remaining holders of its mailbox, and drains.
            Poll::Ready(Err(_)) => {
                self.stop = None;
                Ok(())
            }
        }
    }

    /// Reads input and answers requests, up to bounds, and tells whether there is more.
    ///
    /// It reads on when it may answer no more, so that the end of the stream is noticed before more is
    /// written.
    fn read(&mut self, cx: &mut Context<'_>, tally: &mut Tally) -> Result<bool, CloseReason> {
        let mut answers_left = (self.pending.len() / ANSWERED_SHARE).max(MIN_ANSWERS);
        let mut taken = 0;
        loop {
            let has_backlog = self.answer(&mut answers_left, tally)?;
            if taken >= READ_AT_ONCE || has_backlog && self.inbox.len() >= READ_AT_ONCE {
                return Ok(true);
            }
            match self.inbox.poll_read(&mut *self.transport, cx)? {
                Poll::Pending => {
                    self.is_flooded = false;
                    return Ok(has_backlog);
                }
                Poll::Ready(0) => return Err(CloseReason::ClosedByServer),
                Poll::Ready(read) => {
                    taken += read;
                    self.silence.end();
                }
            }
        }
    }

    /// Hands out replies that have been read, to so many requests. Tells whether that bound left any.
    fn answer(&mut self, answers_left: &mut usize, tally: &mut Tally) -> Result<bool, CloseReason> {
        // With no request pending it goes on beyond the bound, so that an unsolicited reply is found at
        // once.
        while *answers_left > 0 || self.pending.is_empty() {
            let Some(decoded) = self.inbox.next(|| self.pending.keeps_texts())? else {
                return Ok(false);
            };
            match self.pending.takes(&decoded)? {
                Taken::Reply => {}
                Taken::Push => {
                    self.hand_over_push(decoded)?;
                    continue;
                }
                Taken::Confirmation => self.hand_over_confirmation(&decoded),
            }
            if matches!(decoded, Decoded::TooLarge(_)) {
                self.reads_over_until = None;
            }
            if self
                .pending
                .deliver(decoded, self.outbox.written(), tally)?
            {
                *answers_left -= 1;
            } else if let Some(answer) = self.pending.take_introduction() {
                self.activity.introduce(ClientId::of(&answer));
            }
        }
        Ok(!self.inbox.is_empty())
    }

    fn answer_all(&mut self, tally: &mut Tally) -> Result<(), CloseReason> {
        let mut no_bound = usize::MAX;
        self.answer(&mut no_bound, tally).map(|_| ())
    }

    fn receive(&mut self, cx: &mut Context<'_>) {
        while !self.mailbox_is_closed {
            match self
                .mailbox
                .poll_recv_many(cx, &mut self.arrived, RECEIVE_AT_ONCE)
            {
                Poll::Pending => return,
                Poll::Ready(0) => self.mailbox_is_closed = true,
                Poll::Ready(_) => {
                    let deadlines = self.arrived.iter().map(|request| request.deadline);
                    if let Some(earliest) = deadlines.min() {
                        self.timer.arm(earliest);
                    }
                    self.queued.extend(self.arrived.drain(..));
                }
            }
        }
    }

    /// Lets other tasks run once before a small batch is written while replies are outstanding: callers
    /// whose replies have just come often send more, and one system call can then write it all.
    fn yields_for_a_larger_batch(&mut self, cx: &mut Context<'_>) -> bool {
        self.has_yielded = !self.has_yielded
            && !self.pending.is_empty()
            && !self.queued.is_empty()
            && self.queued.len() < FULL_BATCH;
        if self.has_yielded {
            cx.waker().wake_by_ref();
        }
        self.has_yielded
    }

    fn write(&mut self, cx: &mut Context<'_>, tally: &mut Tally) -> Result<(), CloseReason> {
        self.pack(tally)?;
        loop {
            match self.outbox.poll_write(&mut *self.transport, cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(error)) => return Err(error.into()),
                // All is written, and the requests left in the queue must wait.
                Poll::Ready(Ok(())) if !self.pack(tally)? => return Ok(()),
                Poll::Ready(Ok(())) => {}
            }
        }
    }

    /// Moves requests from the queue to the outbox. Tells whether there are bytes to write.
    fn pack(&mut self, tally: &mut Tally) -> Result<bool, CloseReason> {
        if self.queued.is_empty() || self.outbox.len() >= PACK_AHEAD {
            return Ok(!self.outbox.is_empty());
        }
        let now = tally.now();
        if self.is_stale(now)? {
            return Ok(false);
        }
        self.activity.mark(now);
        let slow = now + self.slow;
        self.timer.arm(slow);
        while self.outbox.len() < PACK_AHEAD
            && let Some(mut request) = self.queued.pop_front()
        {
            if request.responder.is_gone() {
                tally.count(&request.responder, false, |tally| &mut tally.cancelled);
            } else if self.end_of(&request) <= now {
                expire(&mut request, tally);
            } else {
                self.silence.begin(now);
                let start = self.outbox.end();
                let is_introduced = request.may_block && self.block(&request);
                self.outbox.push(std::mem::take(&mut request.bytes));
                let Request {
                    expected,
                    began,
                    deadline,
                    may_block,
                    may_be_large,
                    responder,
                    ..
                } = request;
                let slow = if may_block { now + NEVER } else { slow };
                let times = Times {
                    began: began.filter(|_| !may_block),
                    deadline,
                    slow,
                };
                self.pending
                    .push(responder, expected, may_be_large, times, start);
                if is_introduced {
                    self.pending.introduce_last();
                }
            }
        }
        Ok(!self.outbox.is_empty())
    }

    /// A command that may block is about to be written. The first one on a connection may be preceded by the
    /// question under which name the server knows the connection: while it blocks, the server can be asked
    /// about it over another one. Tells whether the question was written.
    fn block(&mut self, request: &Request) -> bool {
        self.is_blocked = true;
        self.activity.set_blocked(true);
        let asks = request.may_introduce && self.activity.ask();
        if asks {
            self.outbox.push(ClientId::question());
        }
        asks
    }

    /// Whether input came while no request was pending: the end of the stream, because servers close idle
    /// clients, or bytes that would be taken for the next reply. Either is read first, and ends the
    /// connection before anything is sent. The runtime may not have noticed the input yet, so a connection
    /// that was idle asks the operating system. An incomplete reply that was read ends the connection at
    /// once: its rest might never come. A push needs no request, and its rest comes before the next reply,
    /// so an incomplete one changes nothing. The same is true of messages of subscriptions in RESP2.
    fn is_stale(&self, now: Instant) -> Result<bool, CloseReason> {
        if !self.pending.is_empty() {
            return Ok(false);
        }
        let may_be_message = self.inbox.is_within_push() || self.pending.has_subscriptions();
        if !self.inbox.is_empty() && !may_be_message {
            return Err(CloseReason::Unsolicited);
        }
        let is_idle = now.saturating_duration_since(self.activity.last()) >= IDLE_CHECK;
        if is_idle && self.transport.holds_a_part() {
            // Its rest might never come, and requests would wait for it.
            return Err(CloseReason::Unsolicited);
        }
        Ok(is_idle && self.transport.has_input())
    }
}

#[cfg(test)]
mod tests;
