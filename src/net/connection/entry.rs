//! One of the requests that wait for their replies.

use std::{mem, time::Duration};

use redis::Value;
use tokio::time::Instant;

use crate::net::{
    codec::{Decoded, ReplyLimit},
    confirmation::Confirmation,
    reply::Reply,
    request::{Failure, Responder},
};

/// A request, and what has come for it so far.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) responder: Responder,
    pub(super) began: Option<Instant>,
    pub(super) deadline: Instant,
    pub(super) slow: Instant,
    // Offset of the request's first byte in the stream.
    pub(super) start: u64,
    pub(super) outstanding: usize,
    pub(super) collected: Collected,
    /// What its replies confirm, if they are pushes.
    pub(super) confirms: Option<Confirmation>,
    pub(super) may_be_large: bool,
    pub(super) is_settled: bool,
    /// Whether it was counted as unanswered.
    pub(super) is_unanswered: bool,
}

/// The replies that have come to a request.
#[derive(Debug)]
pub(super) enum Collected {
    /// A single reply is expected, which needs no list.
    One,
    Many(Vec<Value>),
    /// One of them exceeded a limit.
    TooLarge(ReplyLimit),
    /// The answer to a question of the connection's own comes before them.
    Introduced(Box<Collected>),
}

impl Entry {
    pub(super) fn is_slow(&self, now: Instant, extension: Duration) -> bool {
        self.slow + extension <= now
    }

    /// When its deadline passes, with this extension of own ones.
    pub(super) fn end(&self, own_extension: Duration) -> Instant {
        if self.responder.is_own() {
            self.deadline + own_extension
        } else {
            self.deadline
        }
    }

    /// Takes a reply. Returns the whole answer if that was the last one.
    #[inline]
    pub(super) fn take(
        &mut self,
        decoded: Decoded,
        introduction: &mut Option<Value>,
    ) -> Option<Result<Reply, Failure>> {
        match (decoded, &mut self.collected) {
            (Decoded::Value(value), Collected::One) => return Some(Ok(Reply::One(value))),
            (Decoded::Value(value), Collected::Many(values)) => values.push(value),
            (decoded, Collected::Introduced(replies)) => {
                *introduction = Some(match decoded {
                    Decoded::Value(answer) => answer,
                    Decoded::TooLarge(_) => Value::Nil,
                });
                self.collected = mem::replace(replies, Collected::One);
                return None;
            }
            // One missing reply is enough to fail them all.
            (Decoded::Value(_), Collected::TooLarge(_)) => {}
            (Decoded::TooLarge(oversized), collected) => {
                *collected = Collected::TooLarge(oversized.limit);
            }
        }
        if self.outstanding > 0 {
            return None;
        }
        match &mut self.collected {
            Collected::TooLarge(limit) => Some(Err(Failure::ReplyTooLarge(*limit))),
            Collected::Many(values) => Some(Ok(Reply::Many(mem::take(values)))),
            Collected::One | Collected::Introduced(_) => {
                unreachable!("BUG: a single reply was not handed out")
            }
        }
    }
}
