//! A call in place of a server that is away: a store in this process runs it, if there is one and it can.
//!
//! Only calls come here that were refused because the circuit is open, or that failed while it was opening and were not
//! executed. So none runs here and at the server.

use redis::Cmd;
use tokio::time::Instant;

use super::{
    CallEngine, CallOptions, args,
    attempts::{Attempt, Attempts},
    unserved::Unserved,
    work::Work,
};
use crate::{
    backend::Backend,
    error::Error,
    execution::Execution,
    net::{Answer, Expected, Reply},
    policy::{
        fallback::Served,
        gate_state::GateState,
        outcome::{AttemptEnd, Verdict, classify},
    },
    reply_code::ErrorReply,
    state::{LocalStore, LocalWork, NotRun, SeenValues},
};

impl<B: Backend> CallEngine<B> {
    /// Goes on after an attempt without a good reply.
    pub(super) async fn call_again(
        &self,
        work: &(impl Work + Sync),
        options: &CallOptions,
        attempt: Attempt,
        answer: Answer,
    ) -> Result<(Reply, Attempts), Error> {
        let deadline = attempt.deadline;
        match self.retry(work, options, attempt, answer).await {
            // The circuit has opened while the call waited for a connection, or for its answer.
            Err(failed) => {
                let unserved = Unserved::Attempted(failed);
                self.stand_in(work, options, deadline, unserved).await
            }
            ended => ended,
        }
    }

    /// Whether the circuit is open, and a call was refused for that, or has failed by the fault of the server, which has
    /// executed nothing of it. A patient call wants the server, and one with another place goes there.
    fn is_left_to_store(&self, options: &CallOptions, failed: &Error) -> bool {
        if options.is_patient || options.has_other_place {
            return false;
        }
        if matches!(failed, Error::CircuitOpen { .. }) {
            return true;
        }
        let has_run = !matches!(
            failed.execution(),
            Execution::NotSent | Execution::NotExecuted
        );
        if has_run || !self.state.local.is_wanted() || self.state.gate.state() != GateState::Open {
            return false;
        }
        match failed {
            Error::ConnectionLost { .. } | Error::TimedOut { .. } => true,
            // Other errors are the command's own.
            Error::Server { .. } => failed.code().is_some_and(|code| {
                let reply = ErrorReply { code, text: "" };
                let outcome = classify(AttemptEnd::ErrorReply(reply));
                matches!(outcome.verdict, Verdict::Failing(_))
            }),
            _ => false,
        }
    }

    /// Runs work that was refused, or has failed, on the local store, if it is left to that. Otherwise, and if the store
    /// cannot, the error stands.
    pub(super) async fn stand_in(
        &self,
        work: &(impl Work + Sync),
        options: &CallOptions,
        deadline: Instant,
        unserved: Unserved,
    ) -> Result<(Reply, Attempts), Error> {
        if !self.is_left_to_store(options, unserved.error()) {
            return Err(self.ends(unserved));
        }
        let (local, seen) = (&self.state.local, &self.state.seen);
        let ran = match run(local, seen, work) {
            // The server is back, and the call waits at the gate for what is carried out there. If that fails, the
            // gate refuses it, and the store serves again.
            Err(Some(NotRun::NotServing)) if self.state.gate.state() != GateState::Open => {
                self.goes_on(&unserved);
                return Box::pin(self.call(work, &options.ending(deadline))).await;
            }
            // It serves before the gate opens. So it does now, unless it is only now wanted.
            Err(Some(NotRun::NotServing)) => run(local, seen, work),
            ran => ran,
        };
        match ran {
            Ok(reply) => {
                self.goes_on(&unserved);
                self.unless_error(reply, Attempts::served_locally(options))
            }
            Err(_) => Err(self.ends(unserved)),
        }
    }
}

/// Runs work on a store; there is no reason if none is wanted, or it does not serve commands of this kind.
fn run(local: &LocalStore, seen: &SeenValues, work: &impl Work) -> Result<Reply, Option<NotRun>> {
    if !local.is_wanted() {
        return Err(None);
    }
    let commands = work.each();
    let words: Vec<Vec<_>> = commands.iter().map(|command| words(command)).collect();
    if !words.iter().all(|words| Served::of(words).is_some()) {
        return Err(None);
    }
    let (bytes, expected) = work.pack();
    let is_transaction = work.is_transaction();
    let work = LocalWork {
        bytes,
        commands: words,
        is_transaction,
    };
    let mut replies = local.run(&work, seen).map_err(Some)?;
    Ok(match expected {
        Expected::One => Reply::One(replies.pop().expect("BUG: a command has one reply")),
        _ => Reply::Many(replies),
    })
}

fn words(command: &Cmd) -> Vec<&[u8]> {
    args(command).collect()
}
