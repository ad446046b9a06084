//! What follows an attempt that gave no good reply: its judgement, and another attempt where that is
//! safe, or the error that says everything.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use oneshot::AsyncReceiver;

use super::{
    CallEngine, CallOptions,
    attempts::{Attempt, Attempts},
    given,
    work::Work,
};
use crate::{
    backend::Backend,
    error::Error,
    execution::Execution,
    messages::Evidence,
    net::{Answer, Answered, CloseReason, Failure, Origin},
    policy::{
        outcome::{AttemptEnd, Outcome, RetryAdvice, Verdict, classify, combine},
        retry::{self, Next},
    },
    state::{Admitted, clock, count},
};

impl<B: Backend> CallEngine<B> {
    /// Judges an attempt, and makes others as long as the judgement, the caller, the budget, the
    /// circuit and the deadline permit it.
    pub(super) async fn retry(
        &self,
        work: &impl Work,
        options: &CallOptions,
        mut attempt: Attempt,
        mut answer: Answer,
    ) -> Result<(Answered, Attempts), Error> {
        let mut tried = Attempts {
            count: 1,
            execution: Execution::NotSent,
            timeout: options.timeout,
        };
        loop {
            let outcome = classify(Self::end(work, &answer));
            self.tell(outcome.verdict, &attempt.admitted);
            tried.execution = combine(tried.execution, outcome.execution);
            let origin = answer.as_ref().ok().map(|answered| answered.origin);
            match self.try_again(work, options, (&attempt, origin), outcome, tried.count) {
                Some((next, sent)) => {
                    let next_answer = given(sent.await);
                    if let Err(Failure::TooManyParked | Failure::CircuitOpened) = next_answer {
                        // It was not made after all, so the last one has the last word.
                        self.state.counters.retried.fetch_sub(1, Relaxed);
                        return self.conclude(answer, tried);
                    }
                    tried.count += 1;
                    attempt = next;
                    answer = next_answer;
                }
                None => return self.conclude(answer, tried),
            }
        }
    }

    /// What the answer is evidence of.
    pub(super) fn end<'a>(work: &impl Work, answer: &'a Answer) -> AttemptEnd<'a> {
        match answer {
            Ok(answered) => work.end_of_error(&answered.reply),
            Err(Failure::TimedOutEarly) => AttemptEnd::TimedOutEarly,
            Err(Failure::TimedOut(stage)) => AttemptEnd::TimedOut(*stage),
            Err(Failure::Lost(loss, execution)) if matches!(**loss, CloseReason::Stopped) => {
                AttemptEnd::Local(*execution)
            }
            Err(Failure::Lost(_, execution)) => AttemptEnd::ConnectionLost(*execution),
            Err(Failure::TooManyParked | Failure::CircuitOpened) => {
                AttemptEnd::Local(Execution::NotSent)
            }
            Err(Failure::ShuttingDown(execution) | Failure::Abandoned(execution)) => {
                AttemptEnd::Local(*execution)
            }
        }
    }

    /// Tells the health actor what it should know.
    pub(super) fn tell(&self, verdict: Verdict, admitted: &Admitted) {
        let epoch = admitted.epoch;
        match verdict {
            Verdict::Healthy => self.succeeded(admitted),
            Verdict::Limited(reason) => {
                self.succeeded(admitted);
                self.state.report(Evidence::CommandRefused { reason });
            }
            Verdict::Failing(reason) => {
                self.state.report(Evidence::CommandFailed { epoch, reason })
            }
            Verdict::Silent => {}
        }
    }

    fn try_again(
        &self,
        work: &impl Work,
        options: &CallOptions,
        (last, origin): (&Attempt, Option<Origin>),
        outcome: Outcome,
        attempts: u32,
    ) -> Option<(Attempt, AsyncReceiver<Answer>)> {
        // A trial is to show how things are, not to succeed.
        if last.admitted.is_trial() {
            return None;
        }
        let only_reads = || work.only_reads();
        let jitter = clock::jitter();
        let next = retry::next(
            outcome.again,
            options.idempotence,
            only_reads,
            attempts,
            jitter,
        )?;
        let after = match next {
            Next::After(pause) => pause,
            Next::Elsewhere | Next::OnceReady => Duration::ZERO,
        };
        let now = clock::now();
        if now + after >= last.deadline {
            return None;
        }
        let admitted = self.state.gate.try_enter().ok()?;
        if admitted.is_trial() {
            return None;
        }
        let admitted = admitted;
        if next != Next::OnceReady && !self.state.withdraw_retry(now.into_std()) {
            count(&self.state.counters.retries_denied);
            return None;
        }
        if let (RetryAdvice::Elsewhere | RetryAdvice::OnceReady, Some(origin)) =
            (outcome.again, origin)
        {
            // So that the name is looked up and the server asked anew.
            self.backend.distrust(&self.state, origin);
        }
        // If there is no room, the error of the last attempt says more than that.
        let deadline = last.deadline;
        let sent = self.send(work.pack(), deadline, |request| {
            self.backend.send_later(&self.state, request, after);
        });
        let answer = sent.ok()?;
        count(&self.state.counters.retried);
        Some((Attempt { admitted, deadline }, answer))
    }

    pub(super) fn conclude(
        &self,
        answer: Answer,
        tried: Attempts,
    ) -> Result<(Answered, Attempts), Error> {
        match answer {
            Ok(answered) => self.unless_error(answered, tried),
            Err(failure) => Err(self.explain(failure, tried)),
        }
    }
}
