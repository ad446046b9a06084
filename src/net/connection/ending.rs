//! The end of a connection: each request that it has is answered with its true execution state, or given back.

use std::{collections::VecDeque, sync::Arc};

use super::{Connection, ConnectionExit, tally::Tally};
use crate::{
    execution::Execution,
    net::{
        close::CloseReason,
        request::{Failure, Request},
    },
};

/// A server that closes within so large a reply probably does so because of it.
pub(super) const LARGE_REPLY: usize = 1024 * 1024;

impl Connection {
    pub(super) fn end(mut self, loss: CloseReason) -> ConnectionExit {
        let mut tally = Tally::default();
        if loss.leaves_replies_in_step() {
            // A command whose reply was received was executed, also if the reply was not handed out yet.
            // If later input is malformed, the callers behind it learn that the connection ended.
            let _ = self.answer_all(&mut tally);
        }
        drop(self.transport);
        let incomplete = self.inbox.incomplete();
        let loss = if loss.is_by_peer() && incomplete >= LARGE_REPLY {
            CloseReason::ClosedWithinReply(incomplete)
        } else {
            loss
        };
        let loss = Arc::new(loss);
        let (written, unwritten) = self.outbox.into_unwritten();
        let failed = self.pending.fail(&loss, written, &unwritten, &mut tally);
        let mut unsent = failed.unsent;
        unsent.extend(self.queued);
        let victims = tally.lost;
        let (bound, unsent): (VecDeque<_>, VecDeque<_>) = unsent
            .into_iter()
            .partition(|request| request.responder.is_bound());
        lose(bound, &loss, &mut tally);
        match self.unsent {
            Some(sink) => sink.take_back(unsent),
            None => lose(unsent, &loss, &mut tally),
        }
        self.counters.add(&tally);
        ConnectionExit {
            loss,
            victims,
            may_be_large: failed.may_be_large,
        }
    }
}

/// Answers requests that were for this connection alone: another one lacks what was done on it.
fn lose(unsent: VecDeque<Request>, loss: &Arc<CloseReason>, tally: &mut Tally) {
    for mut request in unsent {
        let failure = Failure::Lost(loss.clone(), Execution::NotSent);
        let has_told = request.responder.finish(Err(failure));
        tally.count(&request.responder, has_told, |tally| &mut tally.lost);
    }
}
