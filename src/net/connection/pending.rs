//! Requests that have been packed for writing and wait for their replies, in order.

use std::{collections::VecDeque, mem, sync::Arc, time::Duration};

use bytes::Bytes;
use redis::{PushKind, Value};
use tokio::time::Instant;

use super::{
    entry::{Collected, Entry},
    subscriptions::{self, Subscriptions},
    tally::Tally,
};
use crate::{
    execution::{Execution, Stage},
    net::{
        close::CloseReason,
        codec::{Decoded, Oversized},
        confirmation::Confirmation,
        request::{Answered, Expected, Failure, Origin, Request, Responder},
    },
};

/// The reply accounting of one connection. Replies come in the order of the requests, so a reply belongs to
/// the entry at the head and cannot reach another caller. An entry stays until its last reply has come,
/// also when its caller has gone or its deadline has passed.
#[derive(Debug)]
pub(crate) struct PendingReplies {
    entries: VecDeque<Entry>,
    /// No deadline is earlier than this.
    next_deadline: Option<Instant>,
    /// The number of entries at the head that were counted as slow.
    slow: usize,
    /// Requests become slow later by this, for now.
    slow_extension: Duration,
    /// Deadlines of this crate's own requests are later by this, for now.
    own_extension: Duration,
    /// Handed out with each reply.
    origin: Origin,
    subscriptions: Subscriptions,
    /// The answer to a question of the connection's own.
    introduction: Option<Value>,
}

/// The times of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// The begin of its call; `None` if its latency says nothing.
    pub(crate) began: Option<Instant>,
    pub(crate) deadline: Instant,
    /// From then on the server is slow, if it has not answered.
    pub(crate) slow: Instant,
}

/// What a value that has come is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Reply,
    /// No request awaits it.
    Push,
    /// A push that the request at the head awaits as its reply.
    Confirmation,
}

/// The result of the end of a connection.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Requests that were not written, to be sent elsewhere.
    pub(crate) unsent: VecDeque<Request>,
    /// The replies to all written ones may be of any size.
    pub(crate) may_be_large: bool,
}

/// The result of a check of the entries.
#[derive(Debug)]
pub(crate) struct Watched {
    /// Deadlines that have passed.
    pub(crate) expired: u64,
    /// The time of the next check.
    pub(crate) next: Option<Instant>,
}

impl PendingReplies {
    pub(crate) fn new(origin: Origin) -> Self {
        Self {
            origin,
            entries: VecDeque::new(),
            next_deadline: None,
            slow: 0,
            slow_extension: Duration::ZERO,
            own_extension: Duration::ZERO,
            subscriptions: Subscriptions::default(),
            introduction: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of pending requests.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
    }

    /// Whether the next reply is for a caller that gets error texts as they are.
    pub(crate) fn keeps_texts(&self) -> bool {
        let front = self.entries.front();
        front.is_some_and(|entry| entry.responder.keeps_texts())
    }

    /// Whether no caller waits for a reply any more.
    pub(crate) fn is_settled(&self) -> bool {
        let settled = |entry: &Entry| entry.is_settled || entry.responder.is_gone();
        self.entries.iter().all(settled)
    }

    #[inline]
    pub(crate) fn push(
        &mut self,
        mut responder: Responder,
        expected: Expected,
        may_be_large: bool,
        Times {
            began,
            deadline,
            slow,
        }: Times,
        start: u64,
    ) {
        responder.mark_written();
        let (confirms, outstanding) = match expected {
            Expected::One => (None, 1),
            Expected::Many(replies) => (None, replies),
            Expected::Confirmations(confirmed, replies) => (Some(confirmed), replies),
        };
        let collected = match expected {
            Expected::One => Collected::One,
            _ => Collected::Many(Vec::with_capacity(outstanding)),
        };
        // The server runs it after the earlier requests, of which one may block.
        let last = self.entries.back();
        let slow = last.map_or(slow, |last| last.slow.max(slow));
        let next = self.next_deadline.get_or_insert(deadline);
        *next = deadline.min(*next);
        self.entries.push_back(Entry {
            responder,
            began,
            deadline,
            slow,
            start,
            outstanding,
            collected,
            confirms,
            may_be_large,
            is_settled: false,
            is_unanswered: false,
        });
    }

    /// A question of the connection's own was written before the last request.
    pub(crate) fn introduce_last(&mut self) {
        if let Some(last) = self.entries.back_mut() {
            last.outstanding += 1;
            let replies = mem::replace(&mut last.collected, Collected::One);
            last.collected = Collected::Introduced(Box::new(replies));
        }
    }

    /// The answer to a question of the connection's own, once.
    pub(crate) fn take_introduction(&mut self) -> Option<Value> {
        self.introduction.take()
    }

    /// Whether the next value may be a message, although it looks like a reply.
    pub(crate) fn has_subscriptions(&self) -> bool {
        !self.subscriptions.is_empty()
    }

    /// Tells replies from pushes. In RESP2 the messages of subscriptions are arrays. One that is too large
    /// looks like a reply that is, which leaves no way to go on.
    #[inline]
    pub(crate) fn takes(&mut self, decoded: &Decoded) -> Result<Taken, CloseReason> {
        Ok(match decoded {
            Decoded::Value(Value::Push { kind, .. })
            | Decoded::TooLarge(Oversized {
                push: Some(kind), ..
            }) => self.push_or_confirmation(kind),
            Decoded::Value(value @ Value::Array(items)) if self.may_be_subscribed() => {
                let Some(kind) = subscriptions::kind(items) else {
                    return Ok(Taken::Reply);
                };
                self.subscriptions.note(value);
                self.push_or_confirmation(&kind)
            }
            Decoded::TooLarge(oversized) if self.has_subscriptions() => {
                return Err(CloseReason::MessageOrReplyTooLarge(oversized.limit));
            }
            _ => Taken::Reply,
        })
    }

    fn push_or_confirmation(&self, kind: &PushKind) -> Taken {
        let awaited = self.awaited_confirmation();
        if awaited.is_some() && awaited == Confirmation::of(kind) {
            Taken::Confirmation
        } else {
            Taken::Push
        }
    }

    /// What the replies to the request at the head confirm.
    fn awaited_confirmation(&self) -> Option<Confirmation> {
        self.entries.front().and_then(|front| front.confirms)
    }

    /// Whether there are subscriptions, or the next reply may be about the first one.
    fn may_be_subscribed(&self) -> bool {
        self.has_subscriptions() || self.awaited_confirmation().is_some()
    }

    /// Hands a reply to the request at the head, and tells whether that completes its answer. A request at
    /// or after the offset `written` has not been written, so the server cannot have answered it.
    #[inline]
    pub(crate) fn deliver(
        &mut self,
        decoded: Decoded,
        written: u64,
        tally: &mut Tally,
    ) -> Result<bool, CloseReason> {
        let front = self.entries.front_mut();
        let Some(entry) = front.filter(|entry| entry.start < written) else {
            return Err(CloseReason::Unsolicited);
        };
        entry.outstanding -= 1;
        if (entry.confirms.is_some() || !self.subscriptions.is_empty())
            && let Decoded::Value(value) = &decoded
        {
            self.subscriptions.note(value);
            // A subscription that is refused, or queued, is answered once, however many channels it has.
            let is_all = matches!(value, Value::ServerError(_) | Value::SimpleString(_));
            if entry.confirms.is_some() && is_all {
                entry.outstanding = 0;
                entry.collected = Collected::One;
            }
        }
        let Some(reply) = entry.take(decoded, &mut self.introduction) else {
            return Ok(false);
        };
        if !entry.is_settled {
            let counter = Tally::counter_for(&reply);
            let answer = reply.map(|reply| Answered {
                reply,
                origin: self.origin,
                redirects: None,
            });
            let has_told = entry.responder.finish(answer);
            tally.count(&entry.responder, has_told, counter);
            if let (true, Some(began)) = (has_told, entry.began) {
                tally.answered(began);
            }
        }
        self.entries.pop_front();
        self.slow = self.slow.saturating_sub(1);
        Ok(true)
    }

    /// Whether a deadline has passed, or a request has become slow.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let is_slow = |entry: &Entry| entry.is_slow(now, self.slow_extension);
        let has_expired = |entry: &Entry| !entry.is_settled && entry.end(self.own_extension) <= now;
        self.entries.get(self.slow).is_some_and(is_slow)
            || self.next_deadline.is_some_and(|deadline| deadline <= now)
                && self.entries.iter().any(has_expired)
    }

    /// This process stood still, or replies behind one another could not come. No request that is not
    /// counted as slow yet becomes slow before this time.
    pub(crate) fn postpone_slow(&mut self, slow: Instant) {
        for entry in self.entries.iter_mut().skip(self.slow) {
            entry.slow = entry.slow.max(slow);
        }
    }

    /// From now on requests become slow later by `slow`, and the deadlines of this crate's own ones are later by `own`.
    pub(crate) fn extend(&mut self, slow: Duration, own: Duration) {
        self.slow_extension = slow;
        self.own_extension = own;
    }

    /// Nothing is extended any more. Own requests that wait have time until then.
    pub(crate) fn end_extension(&mut self, own_until: Instant) {
        self.extend(Duration::ZERO, Duration::ZERO);
        for entry in self.entries.iter_mut() {
            if entry.responder.is_own() && !entry.is_settled {
                entry.deadline = entry.deadline.max(own_until);
                let next = self.next_deadline.get_or_insert(entry.deadline);
                *next = entry.deadline.min(*next);
            }
        }
    }

    /// Answers the callers whose deadline has passed, and counts the requests that have become slow. It is
    /// called when the first of either is due, so neither costs a read of the clock per reply.
    pub(crate) fn watch(&mut self, now: Instant, tally: &mut Tally) -> Watched {
        self.count_slow(now, tally);
        let expired = match self.next_deadline {
            Some(deadline) if deadline <= now => self.expire(now, tally),
            _ => 0,
        };
        let first_not_slow = self.entries.get(self.slow);
        let next_slow = first_not_slow.map(|entry| entry.slow + self.slow_extension);
        let next = next_slow.into_iter().chain(self.next_deadline).min();
        Watched { expired, next }
    }

    /// Requests become slow in the order in which they were packed. A caller that still waits reports the
    /// timeout itself if its deadline passes. A caller that has gone, wants no answer, or had a shorter
    /// deadline, cannot.
    fn count_slow(&mut self, now: Instant, tally: &mut Tally) {
        while let Some(entry) = self.entries.get_mut(self.slow)
            && entry.is_slow(now, self.slow_extension)
        {
            if entry.responder.is_own() {
                // It counts by its answer.
            } else if entry.is_settled || !entry.responder.is_heard() {
                entry.is_unanswered = true;
                tally.unanswered += 1;
                let is_abandoned = !entry.is_settled && entry.responder.is_gone();
                tally.abandoned += u64::from(is_abandoned);
            } else {
                tally.slow += 1;
            }
            self.slow += 1;
        }
    }

    /// Deadlines are in no order, so this checks all entries. The entries stay, for the replies may still
    /// come.
    fn expire(&mut self, now: Instant, tally: &mut Tally) -> u64 {
        let mut expired = 0;
        self.next_deadline = None;
        for entry in self.entries.iter_mut().filter(|entry| !entry.is_settled) {
            let end = entry.end(self.own_extension);
            if end > now {
                let next = self.next_deadline.get_or_insert(end);
                *next = end.min(*next);
                continue;
            }
            entry.is_settled = true;
            expired += 1;
            let is_slow = entry.is_slow(now, self.slow_extension);
            let failure = if is_slow {
                Failure::TimedOut(Stage::Reply)
            } else {
                // The caller's timeout is short, or was mostly spent before the request came here.
                Failure::TimedOutEarly
            };
            let has_told = entry.responder.answer(Err(failure));
            tally.count(&entry.responder, has_told, |tally| &mut tally.timed_out);
            if !has_told {
                // A caller that went after the command had become slow was not counted then.
                let is_unanswered = is_slow && !entry.is_unanswered;
                tally.unanswered += u64::from(is_unanswered);
                tally.abandoned += u64::from(is_unanswered);
            }
        }
        expired
    }

    /// The end of the connection. Callers whose requests were written learn that the execution is unknown.
    /// Requests that were not written (`unwritten` starts at offset `written`) are returned, to be sent
    /// elsewhere.
    pub(crate) fn fail(
        self,
        loss: &Arc<CloseReason>,
        written: u64,
        unwritten: &Bytes,
        tally: &mut Tally,
    ) -> Failed {
        let mut end = written + unwritten.len() as u64;
        let mut unsent = VecDeque::new();
        let mut may_be_large = true;
        for mut entry in self.entries.into_iter().rev() {
            let start = entry.start;
            if entry.is_settled {
                // Its caller already has an answer.
            } else if start < written {
                let failure = Failure::Lost(loss.clone(), Execution::Unknown);
                may_be_large &= entry.may_be_large;
                let has_told = entry.responder.finish(Err(failure));
                tally.count(&entry.responder, has_told, |tally| &mut tally.lost);
            } else {
                entry.responder.mark_unwritten();
                let bytes = &unwritten[(start - written) as usize..(end - written) as usize];
                let expected = match (entry.collected, entry.confirms) {
                    (Collected::One, _) => Expected::One,
                    (_, Some(confirmed)) => Expected::Confirmations(confirmed, entry.outstanding),
                    (_, None) => Expected::Many(entry.outstanding),
                };
                // Blocking commands run on leases, whose requests are not sent elsewhere.
                unsent.push_front(Request {
                    began: entry.began,
                    may_be_large: entry.may_be_large,
                    ..Request::new(bytes.to_vec(), expected, entry.deadline, entry.responder)
                });
            }
            end = start;
        }
        Failed {
            unsent,
            may_be_large,
        }
    }
}

#[cfg(test)]
#[path = "pending_tests.rs"]
mod tests;
