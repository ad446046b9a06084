//! What follows an attempt that gave no good reply: its judgement, and another attempt where that is
//! safe, or the error that says everything.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use oneshot::AsyncReceiver;
use tokio::time::Instant;

use super::{
    CallEngine, CallOptions,
    attempts::{Attempt, Attempts},
    given,
    work::Work,
};
use crate::{
    error::Error,
    execution::Execution,
    messages::{News, Retire},
    net::{Answer, Failure, Loss, Reply},
    policy::{
        outcome::{Again, End, Outcome, Verdict, judge, over_all},
        retry::{self, Next},
    },
    state::{Admitted, count},
};

impl CallEngine {
    /// Judges an attempt, and makes others as long as the judgement, the caller, the budget, the
    /// circuit and the deadline permit it.
    pub(super) async fn retry(
        &self,
        work: &impl Work,
        options: CallOptions,
        mut attempt: Attempt,
        mut answer: Answer,
    ) -> Result<(Reply, Attempts), Error> {
        let mut tried = Attempts {
            count: 1,
            execution: Execution::NotSent,
            timeout: options.timeout,
        };
        loop {
            let outcome = judge(Self::end(work, &answer));
            self.tell(outcome.verdict, &attempt.admitted);
            tried.execution = over_all(tried.execution, outcome.execution);
            match self.try_again(work, options, &attempt, outcome, tried.count) {
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
    pub(super) fn end<'a>(work: &impl Work, answer: &'a Answer) -> End<'a> {
        match answer {
            Ok(reply) => work.end_of_error(reply),
            Err(Failure::Hasty) => End::Hasty,
            Err(Failure::TimedOut(stage)) => End::TimedOut(*stage),
            Err(Failure::Lost(loss, execution)) if matches!(**loss, Loss::Stopped) => {
                End::Local(*execution)
            }
            Err(Failure::Lost(_, execution)) => End::ConnectionLost(*execution),
            Err(Failure::TooManyParked | Failure::CircuitOpened) => End::Local(Execution::NotSent),
            Err(Failure::ShuttingDown(execution) | Failure::Abandoned(execution)) => {
                End::Local(*execution)
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
                self.state.report(News::CommandRefused { reason });
            }
            Verdict::Failing(reason) => self.state.report(News::CommandFailed { epoch, reason }),
            Verdict::Silent => {}
        }
    }

    fn try_again(
        &self,
        work: &impl Work,
        options: CallOptions,
        last: &Attempt,
        outcome: Outcome,
        attempts: u32,
    ) -> Option<(Attempt, AsyncReceiver<Answer>)> {
        // A trial is to show how things are, not to succeed.
        if last.admitted.is_trial() {
            return None;
        }
        let only_reads = || work.only_reads();
        let jitter = fastrand::f64();
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
        let now = Instant::now();
        if now + after >= last.deadline {
            return None;
        }
        let admitted = self.state.gate.enter().ok().filter(|it| !it.is_trial())?;
        if next != Next::OnceReady && !self.state.withdraw_retry(now.into_std()) {
            count(&self.state.counters.retries_denied);
            return None;
        }
        if matches!(outcome.again, Again::Elsewhere | Again::OnceReady) {
            self.retire(last.route);
        }
        // If there is no room, the error of the last attempt says more than that.
        let deadline = last.deadline;
        let sent = self.send(work.pack(), deadline, |request| {
            // By way of the pool, which has a timer, and which learns before of a connection that is
            // to be left.
            self.park(request, after);
            None
        });
        let (answer, route) = sent.ok()?;
        count(&self.state.counters.retried);
        let attempt = Attempt {
            admitted,
            deadline,
            route,
        };
        Some((attempt, answer))
    }

    /// Takes the connection out of service that leads to the wrong server, or to one that is not ready,
    /// so that the name is looked up and the server asked anew.
    fn retire(&self, route: Option<u64>) {
        let routes = self.state.routes.load();
        let current = routes.as_ref().map(|it| it.least_loaded().id);
        if let (Some(id), Some(pool)) = (route.or(current), &*self.state.pool.load()) {
            pool.retire.do_send(Retire { only: Some(id) });
        }
    }

    pub(super) fn conclude(
        &self,
        answer: Answer,
        tried: Attempts,
    ) -> Result<(Reply, Attempts), Error> {
        match answer {
            Ok(reply) => self.unless_error(reply, tried),
            Err(failure) => Err(self.explain(failure, tried)),
        }
    }
}
