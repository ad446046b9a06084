//! Requests that have been packed for writing and wait for their replies, in order.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use redis::Value;
use tokio::time::Instant;

use super::{
    loss::Loss,
    request::{Expected, Failure, Reply, Request, Responder},
    tally::Tally,
};
use crate::error::{Execution, Stage};

/// The reply accounting of one connection: replies come in the order of the requests, so a reply
/// belongs to the entry at the head and can reach nobody else. An entry stays until its last
/// reply has come, also when its caller has gone or its deadline has passed.
#[derive(Debug, Default)]
pub(crate) struct Awaiting {
    entries: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    responder: Responder,
    deadline: Instant,
    packed: Instant,
    // Offset of the request's first byte in the stream.
    start: u64,
    outstanding: usize,
    // `None` for a single reply, which needs no list.
    collected: Option<Vec<Value>>,
    is_settled: bool,
    is_slow: bool,
}

/// What became of the deadlines.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    /// How many have passed.
    pub(crate) expired: u64,
    /// When to look again.
    pub(crate) next: Option<Instant>,
}

impl Awaiting {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many requests wait.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
    }

    /// Whether nobody waits for a reply any more.
    pub(crate) fn is_settled(&self) -> bool {
        let settled = |entry: &Entry| entry.is_settled || entry.responder.is_gone();
        self.entries.iter().all(settled)
    }

    pub(crate) fn push(
        &mut self,
        mut responder: Responder,
        expected: Expected,
        deadline: Instant,
        (packed, start): (Instant, u64),
    ) {
        responder.mark_written();
        let (outstanding, collected) = match expected {
            Expected::One => (1, None),
            Expected::Many(replies) => (replies, Some(Vec::with_capacity(replies))),
        };
        self.entries.push_back(Entry {
            responder,
            deadline,
            packed,
            start,
            outstanding,
            collected,
            is_settled: false,
            is_slow: false,
        });
    }

    /// Hands a reply to whom it belongs, and tells whether that completes the answer to a request.
    /// What has not been written, at `written` or behind it, cannot have been answered.
    pub(crate) fn deliver(
        &mut self,
        value: Value,
        written: u64,
        tally: &mut Tally,
    ) -> Result<bool, Loss> {
        let front = self.entries.front_mut();
        let Some(entry) = front.filter(|entry| entry.start < written) else {
            return Err(Loss::Unsolicited);
        };
        entry.outstanding -= 1;
        let reply = match &mut entry.collected {
            None => Reply::One(value),
            Some(values) => {
                values.push(value);
                if entry.outstanding > 0 {
                    return Ok(false);
                }
                Reply::Many(std::mem::take(values))
            }
        };
        if !entry.is_settled {
            let outcome = tally.of_reply(&reply);
            match entry.responder.finish(Ok(reply)) {
                true => *outcome += 1,
                false => tally.cancelled += 1,
            }
        }
        self.entries.pop_front();
        Ok(true)
    }

    /// Tells the callers whose deadline has passed; their replies are still waited for. Counts those
    /// who have waited for so long that their command is slow: being looked at when the first of
    /// them becomes so, they cost no clock per reply.
    pub(crate) fn expire(&mut self, now: Instant, slow: Duration, tally: &mut Tally) -> Expiry {
        let mut expiry = Expiry::default();
        for entry in self.entries.iter_mut().filter(|entry| !entry.is_settled) {
            let is_slow_from = entry.packed + slow;
            if !entry.is_slow && is_slow_from <= now {
                entry.is_slow = true;
                tally.slow += 1;
            }
            if entry.deadline <= now {
                entry.is_settled = true;
                expiry.expired += 1;
                let failure = Failure::TimedOut(Stage::Reply);
                match entry.responder.answer(Err(failure)) {
                    true => tally.timed_out += 1,
                    false => tally.cancelled += 1,
                }
            } else {
                let next = match entry.is_slow {
                    true => entry.deadline,
                    false => entry.deadline.min(is_slow_from),
                };
                expiry.next = Some(expiry.next.map_or(next, |at| at.min(next)));
            }
        }
        expiry
    }

    /// The end of the connection: callers whose requests had been written learn that nobody knows
    /// whether they ran; what was never written (`unwritten` starts at offset `written`) is
    /// returned, to be sent elsewhere.
    pub(crate) fn fail(
        self,
        loss: &Arc<Loss>,
        written: u64,
        unwritten: &Bytes,
        tally: &mut Tally,
    ) -> VecDeque<Request> {
        let mut end = written + unwritten.len() as u64;
        let mut unsent = VecDeque::new();
        for mut entry in self.entries.into_iter().rev() {
            let start = entry.start;
            if entry.is_settled {
                // Its caller has its answer.
            } else if start < written {
                let failure = Failure::Lost(loss.clone(), Execution::Unknown);
                match entry.responder.finish(Err(failure)) {
                    true => tally.lost += 1,
                    false => tally.cancelled += 1,
                }
            } else {
                entry.responder.mark_unwritten();
                let bytes = &unwritten[(start - written) as usize..(end - written) as usize];
                unsent.push_front(Request {
                    bytes: bytes.to_vec(),
                    expected: match entry.collected {
                        None => Expected::One,
                        Some(_) => Expected::Many(entry.outstanding),
                    },
                    deadline: entry.deadline,
                    responder: entry.responder,
                });
            }
            end = start;
        }
        unsent
    }
}
