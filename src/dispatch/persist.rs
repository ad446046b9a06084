//! What follows an attempt that gave no good reply: its judgement, and another attempt where that is
//! safe, or the error that says everything.

use std::{
    sync::{PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use oneshot::AsyncReceiver;
use tokio::time::Instant;

use super::{Attempt, Dispatcher, Terms, given, work::Work};
use crate::{
    error::{Error, Execution},
    messages::{News, Retire},
    net::{Answer, Failure, Loss, Reply},
    policy::{
        admission::Admitted,
        outcome::{Again, End, Outcome, Verdict, judge, over_all},
        retry::{self, Next},
    },
    stats::count,
};

/// What a call has been through.
#[derive(Clone, Copy)]
pub(super) struct Tried {
    pub(super) attempts: u32,
    /// Of all attempts together.
    pub(super) execution: Execution,
    pub(super) timeout: Duration,
}

impl Tried {
    /// A call that has waited for so long, and was not sent.
    pub(super) fn in_vain(timeout: Duration) -> Self {
        Self {
            attempts: 1,
            execution: Execution::NotSent,
            timeout,
        }
    }

    /// A call that went well the first time.
    pub(super) fn at_once(terms: Terms) -> Self {
        Self {
            attempts: 1,
            execution: Execution::Executed,
            timeout: terms.timeout,
        }
    }
}

impl Dispatcher {
    /// Judges an attempt, and makes others as long as the judgement, the caller, the budget, the
    /// circuit and the deadline permit it.
    pub(super) async fn persist(
        &self,
        work: &impl Work,
        terms: Terms,
        mut attempt: Attempt,
        mut answer: Answer,
    ) -> Result<(Reply, Tried), Error> {
        let mut tried = Tried {
            attempts: 1,
            execution: Execution::NotSent,
            timeout: terms.timeout,
        };
        loop {
            let outcome = judge(Self::end(work, &answer));
            self.tell(outcome.verdict, &attempt.admitted);
            tried.execution = over_all(tried.execution, outcome.execution);
            match self.try_again(work, terms, &attempt, outcome, tried.attempts) {
                Some((next, sent)) => {
                    let next_answer = given(sent.await);
                    if let Err(Failure::TooManyParked | Failure::CircuitOpened) = next_answer {
                        // It was not made after all, so the last one has the last word.
                        self.counters.retried.fetch_sub(1, Relaxed);
                        return self.conclude(answer, tried);
                    }
                    tried.attempts += 1;
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
                self.report(News::CommandRefused { reason });
            }
            Verdict::Failing(reason) => self.report(News::CommandFailed { epoch, reason }),
            Verdict::Silent => {}
        }
    }

    fn try_again(
        &self,
        work: &impl Work,
        terms: Terms,
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
            terms.idempotence,
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
        let admitted = self.gate.enter().ok().filter(|it| !it.is_trial())?;
        if next != Next::OnceReady && !self.withdraw(now) {
            count(&self.counters.retries_denied);
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
        count(&self.counters.retried);
        let attempt = Attempt {
            admitted,
            deadline,
            route,
        };
        Some((attempt, answer))
    }

    fn withdraw(&self, now: Instant) -> bool {
        // A panic elsewhere cannot have left it half-changed.
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        budget.withdraw(self.calls(), now.into_std())
    }

    /// Takes the connection out of service that leads to the wrong server, or to one that is not ready,
    /// so that the name is looked up and the server asked anew.
    fn retire(&self, route: Option<u64>) {
        let routes = self.routes.load();
        let current = routes.as_ref().map(|it| it.least_loaded().id);
        if let (Some(id), Some(pool)) = (route.or(current), &*self.pool.load()) {
            pool.retire.do_send(Retire { only: Some(id) });
        }
    }

    pub(super) fn conclude(&self, answer: Answer, tried: Tried) -> Result<(Reply, Tried), Error> {
        match answer {
            Ok(reply) => self.unless_error(reply, tried),
            Err(failure) => Err(self.explain(failure, tried)),
        }
    }
}
