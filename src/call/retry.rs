//! After an attempt without a good reply: its classification, and another attempt where that is safe, or
//! the error for the caller.

use std::time::Duration;

use oneshot::AsyncReceiver;

use super::{
    CallEngine, CallOptions,
    attempts::{Attempt, Attempts},
    received,
    work::Work,
};
use crate::{
    backend::Backend,
    error::Error,
    execution::{Execution, Source},
    messages::Evidence,
    net::{Answer, CloseReason, Failure, Origin, Reply},
    policy::{
        outcome::{AttemptEnd, Outcome, RetryAdvice, Verdict, classify, combine},
        retry::{self, Next},
    },
    state::{Admitted, clock, count},
};

impl<B: Backend> CallEngine<B> {
    /// Classifies an attempt, and makes more as long as the outcome, the caller, the budget, the circuit
    /// and the deadline permit it.
    pub(super) async fn retry(
        &self,
        work: &impl Work,
        options: &CallOptions,
        mut attempt: Attempt,
        mut answer: Answer,
    ) -> Result<(Reply, Attempts), Error> {
        let mut attempts = Attempts {
            count: 1,
            execution: Execution::NotSent,
            timeout: options.timeout,
            source: Source::Redis,
        };
        loop {
            let outcome = classify(Self::attempt_end(work, &answer));
            self.report_verdict(outcome.verdict, &attempt.admitted);
            attempts.execution = combine(attempts.execution, outcome.execution);
            if let Ok(answered) = &answer
                && let Some(redirects) = &answered.redirects
            {
                redirects.turn(attempt.deadline).await;
                // The node is not the right one for all of it.
                return self.conclude(answer, attempts);
            }
            let origin = answer.as_ref().ok().map(|answered| answered.origin);
            let last = (&mut attempt, origin);
            match self
                .try_again(work, options, last, outcome, attempts.count)
                .await
            {
                Some((next, sent)) => {
                    let next_answer = received(sent.await);
                    if let Err(Failure::TooManyParked | Failure::CircuitOpened) = next_answer {
                        // The next attempt was refused, so the last answer is the result.
                        return self.conclude(answer, attempts);
                    }
                    attempts.count += 1;
                    attempt = next;
                    answer = next_answer;
                }
                None => return self.conclude(answer, attempts),
            }
        }
    }

    /// How an attempt with this answer ended, for its classification.
    pub(super) fn attempt_end<'a>(work: &impl Work, answer: &'a Answer) -> AttemptEnd<'a> {
        match answer {
            Ok(answered) => work.end_of_error(&answered.reply),
            Err(Failure::ReplyTooLarge(_)) => AttemptEnd::ReplyTooLarge,
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

    /// Reports the verdict on the server to the gate and the health actor.
    pub(super) fn report_verdict(&self, verdict: Verdict, admitted: &Admitted) {
        let epoch = admitted.epoch;
        match verdict {
            Verdict::Healthy => self.succeeded(admitted),
            Verdict::Limited(reason) => {
                self.succeeded(admitted);
                self.state.report(Evidence::CommandRefused { reason });
            }
            Verdict::Failing(reason) => self.state.report_failed(epoch, reason),
            Verdict::Silent => {}
        }
    }

    async fn try_again(
        &self,
        work: &impl Work,
        options: &CallOptions,
        (last, origin): (&mut Attempt, Option<Origin>),
        outcome: Outcome,
        attempt_count: u32,
    ) -> Option<(Attempt, AsyncReceiver<Answer>)> {
        // A trial shows whether the server has recovered. A retry would hide a failure, unless the caller
        // waits for recovery.
        if last.admitted.is_trial() && !options.is_patient {
            return None;
        }
        let only_reads = || work.only_reads();
        let jitter = clock::jitter();
        let next = retry::next(
            outcome.again,
            options.idempotence,
            only_reads,
            (attempt_count, self.state.settings.load().max_attempts),
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
        let admitted = match self.state.gate.try_enter() {
            Ok(admitted) => admitted,
            Err(closed) if options.is_patient && options.waits_for(closed) => {
                last.admitted.forgo_trial();
                self.wait_to_enter_again(options, last.deadline).await?
            }
            Err(_) => return None,
        };
        if admitted.is_trial() && !options.is_patient {
            return None;
        }
        if next != Next::OnceReady && !self.state.withdraw_retry(now.into_std()) {
            count(&self.state.counters.retries_denied);
            return None;
        }
        // The new connection resolves the name and greets the server anew.
        let distrusted = match outcome.again {
            RetryAdvice::Elsewhere | RetryAdvice::OnceReady => origin,
            _ => None,
        };
        // Without room in flight there is no retry: the error of the last attempt says more than the
        // limit.
        let (began, deadline) = (last.began, last.deadline);
        let backend = &self.backend;
        let sent = self.send(
            work.pack(),
            work.may_be_large(),
            options,
            (began, deadline),
            |request| match distrusted {
                Some(origin) => backend.send_elsewhere(&self.state, request, origin),
                None if after.is_zero() => backend.send(&self.state, request),
                None => backend.send_later(&self.state, request, after),
            },
        );
        let answer = sent.ok()?;
        count(&self.state.counters.retried);
        let attempt = Attempt {
            admitted,
            began,
            deadline,
        };
        Some((attempt, answer))
    }

    pub(super) fn conclude(
        &self,
        answer: Answer,
        attempts: Attempts,
    ) -> Result<(Reply, Attempts), Error> {
        let result = match answer {
            Ok(answered) => self.unless_error(answered.reply, attempts),
            Err(failure) => Err(self.explain(failure, attempts)),
        };
        if let Err(error) = &result {
            self.state.counters.note_error(error);
        }
        result
    }
}
