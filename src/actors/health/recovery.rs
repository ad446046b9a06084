//! The end of an outage: what a local store keeps for the server is carried out there.

use std::sync::Arc;

use actix::Addr;
use redis::{Cmd, Pipeline, Value};
use tokio::time::Instant;

use super::HealthActor;
use crate::{
    backend::{Backend, Server},
    events::Recovery,
    execution::{Execution, Stage},
    messages::{Evidence, RecoveryEnded, Retire},
    net::{Answer, Expected, Failure, Origin, Reply, Request, Responder},
    policy::{
        fallback::{Lot, Replayed},
        outcome::{AttemptEnd, Outcome, RetryAdvice, Verdict, classify},
    },
    state::{DatabaseState, LocalStore, Step},
};

/// Carries out what is left, in this epoch of the gate, and tells the health actor of the end. Meanwhile the
/// store serves nobody.
pub(super) fn recover(epoch: u64, database: Arc<DatabaseState>, health: Addr<HealthActor>) {
    database.local.begin_recovery();
    actix_rt::spawn(async move {
        let local = &database.local;
        let recovery = if !local.is_standing_in() {
            // It was switched off at the moment when it was to begin.
            Some(Recovery::default())
        } else if replay(local, epoch, &database).await {
            database.end_outage()
        } else {
            None
        };
        health.do_send(RecoveryEnded {
            database: database.id.clone(),
            recovery,
        });
    });
}

/// Tells whether all is carried out.
async fn replay(local: &LocalStore, epoch: u64, database: &DatabaseState) -> bool {
    loop {
        let lot = match local.next_step() {
            Step::Send(lot) => lot,
            Step::Done => return true,
            Step::Stopped => return false,
        };
        let length = lot.len();
        // Nothing may be left under way, whatever becomes of this task.
        let mut settling = Settling { local, length };
        let answer = send(&lot, database).await;
        let ends = judge(&answer, length, epoch, database);
        settling.settle(&ends);
        let is_over = |end: &Replayed| matches!(end, Replayed::Done | Replayed::Refused);
        if !ends.iter().all(is_over) {
            return false;
        }
    }
}

/// A lot that is on its way. If its task is dropped, it may have been carried out.
struct Settling<'a> {
    local: &'a LocalStore,
    length: usize,
}

impl Settling<'_> {
    fn settle(&mut self, ends: &[Replayed]) {
        self.local.settle(ends);
        self.length = 0;
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        if self.length > 0 {
            self.local.settle(&vec![Replayed::Unknown; self.length]);
        }
    }
}

/// Sends a lot on a shared connection, past the gate, as soon as there is one.
async fn send(lot: &Lot, database: &DatabaseState) -> Answer {
    let mut pipeline = Pipeline::with_capacity(lot.len());
    for words in lot {
        pipeline.add_command(Cmd::new().arg(words).take());
    }
    let (mut responder, answer) = Responder::own();
    responder.set_patience(true);
    let deadline = Instant::now() + database.settings.load().attempt_timeout;
    let bytes = pipeline.get_packed_pipeline();
    let request = Request::new(bytes, Expected::Many(lot.len()), deadline, responder);
    Server.send(database, request);
    let gone = Err(Failure::Abandoned(Execution::Unknown));
    answer.await.unwrap_or(gone)
}

/// What has become of each command, after telling the health actor what its answer says about the server.
fn judge(answer: &Answer, length: usize, epoch: u64, database: &DatabaseState) -> Vec<Replayed> {
    let answered = match answer {
        Ok(answered) => answered,
        Err(failure) => {
            let outcome = classify(end(failure));
            report(outcome, None, epoch, database);
            return vec![Replayed::of_unanswered(outcome.execution); length];
        }
    };
    let Reply::Many(replies) = &answered.reply else {
        unreachable!("BUG: many replies were expected and one came");
    };
    let outcome = |reply: &Value| match reply {
        Value::ServerError(error) => Some(classify(AttemptEnd::ErrorReply(error.into()))),
        _ => None,
    };
    // One error says as much about the server as many of one write.
    let mut errors = replies.iter().filter_map(outcome);
    if let Some(telling) = errors.find(|outcome| outcome.verdict != Verdict::Healthy) {
        report(telling, Some(answered.origin), epoch, database);
    }
    let ends = replies.iter().map(outcome);
    ends.map(|outcome| outcome.map_or(Replayed::Done, Replayed::of_error))
        .collect()
}

fn end(failure: &Failure) -> AttemptEnd<'static> {
    match failure {
        Failure::TimedOut(stage) => AttemptEnd::TimedOut(*stage),
        // It has the time of a healthy reply.
        Failure::TimedOutEarly => AttemptEnd::TimedOut(Stage::Reply),
        Failure::Lost(_, execution) => AttemptEnd::ConnectionLost(*execution),
        Failure::TooManyParked | Failure::CircuitOpened => AttemptEnd::Local(Execution::NotSent),
        Failure::ShuttingDown(execution) | Failure::Abandoned(execution) => {
            AttemptEnd::Local(*execution)
        }
        Failure::ReplyTooLarge(_) => AttemptEnd::ReplyTooLarge,
    }
}

fn report(outcome: Outcome, origin: Option<Origin>, epoch: u64, database: &DatabaseState) {
    match outcome.verdict {
        Verdict::Failing(reason) => database.report_failed(epoch, reason),
        Verdict::Limited(reason) => database.report(Evidence::CommandRefused { reason }),
        Verdict::Healthy | Verdict::Silent => {}
    }
    // The connection leads to the wrong server, or to one that is not ready.
    let is_suspect = matches!(
        outcome.again,
        RetryAdvice::Elsewhere | RetryAdvice::OnceReady
    );
    if let (true, Some(Origin::Connection(id)), Some(pool)) =
        (is_suspect, origin, &*database.pool.load())
    {
        pool.retire.do_send(Retire { only: Some(id) });
    }
}
