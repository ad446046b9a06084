//! Commands on a connection that nobody else uses.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, Pipeline, Value};
use tokio::time::Instant;

use super::{
    CallEngine, CallOptions, args,
    attempts::Attempts,
    given,
    work::{Single, Work},
};
use crate::{
    backend::Backend,
    error::{Error, Limit},
    execution::{Execution, Stage},
    messages::{Caller, Grant, NoGrant, Waiting},
    net::{Answer, Answered, CloseReason, Failure, Reply},
    policy::{
        command::{Block, Class, Refusal},
        outcome::{RetryAdvice, classify},
        retry::MAX_ATTEMPTS,
    },
    state::{clock, count},
};

impl<B: Backend> CallEngine<B> {
    /// A connection that nobody else uses, as soon as there is one.
    ///
    /// Cancelling it is safe: a connection that is on its way goes back, and one that is being opened
    /// for it is there for the next.
    pub(crate) async fn acquire(
        &self,
        options: CallOptions,
        by: Option<Caller>,
    ) -> Result<Grant, Error> {
        let now = clock::now();
        let wait = options.acquire_timeout(self.state.settings.load().acquire_timeout);
        self.acquire_until(now, now + wait, by, Attempts::not_sent(wait))
            .await
    }

    async fn acquire_until(
        &self,
        now: Instant,
        deadline: Instant,
        by: Option<Caller>,
        tried: Attempts,
    ) -> Result<Grant, Error> {
        // Waiting is no trial: that begins with the first command.
        drop(self.admit()?);
        if !self.state.permits.permits_leases() {
            let limit = Limit::Connections(self.state.settings.load().max_connections);
            return Err(self.overloaded(limit));
        }
        if deadline <= now {
            return Err(self.acquire_timed_out(tried, None));
        }
        let (answer, granted) = oneshot::async_channel();
        let waiting = Waiting {
            answer,
            deadline,
            by,
        };
        self.backend.lend(&self.state, waiting);
        match granted.await {
            Ok(Ok(grant)) => {
                self.state.counters.acquire_wait.record(now.elapsed());
                Ok(grant)
            }
            Ok(Err(NoGrant::TimedOut(last_error))) => {
                Err(self.acquire_timed_out(tried, last_error))
            }
            Ok(Err(NoGrant::TooManyWait)) => {
                let limit = Limit::Parked(self.state.settings.load().max_parked);
                Err(self.overloaded_by(limit, &self.state.counters.waiting))
            }
            Ok(Err(NoGrant::ShuttingDown)) => Err(Error::ShuttingDown {
                database: self.state.name(),
                execution: Execution::NotSent,
            }),
            // The pool has crashed, or has been shut down.
            Err(_) => {
                let failure = Failure::Abandoned(Execution::NotSent);
                Err(self.explain(failure, tried))
            }
        }
    }

    fn acquire_timed_out(&self, tried: Attempts, last_error: Option<Arc<str>>) -> Error {
        count(&self.state.counters.timed_out);
        self.timed_out(Stage::Acquire, tried, last_error)
    }

    /// Runs on a connection of its own what the server may keep for so long.
    pub(super) async fn call_leased(
        &self,
        work: &(impl Work + Sync),
        block: Block,
        options: &CallOptions,
    ) -> Result<(Answered, Attempts), Error> {
        let now = clock::now();
        let mut grant = self.acquire(*options, None).await?;
        // What the caller has set holds for the wait and the command together.
        let options = options.strictly_from(now);
        self.call_on(&mut grant, work, Some(block), &options).await
    }

    /// Runs a command on a leased connection.
    pub(crate) async fn execute_on(
        &self,
        grant: &mut Grant,
        command: &Cmd,
        mut options: CallOptions,
    ) -> Result<Value, Error> {
        let mut class = Class::of(args(command));
        if class == Class::Unknown {
            options = options.counted_from(clock::now());
            class = Box::pin(self.surveyed(command, &options)).await?;
        }
        self.check_on_lease(command, class, &options)?;
        let work = Single { command, class };
        let called = self.call_on(grant, &work, class.block(), &options).await?;
        match called.0.reply {
            Reply::One(value) => Ok(value),
            // Of subscriptions.
            Reply::Many(values) => Ok(Value::Array(values)),
        }
    }

    /// Runs a pipeline on a leased connection, as [`Self::execute_pipeline`] does on a shared one.
    pub(super) async fn execute_pipeline_on(
        &self,
        grant: &mut Grant,
        pipeline: &Pipeline,
        mut options: CallOptions,
    ) -> Result<(Vec<Value>, Attempts), Error> {
        let work = self.classified(pipeline, &mut options).await?;
        let mut block = None;
        for (command, class) in work.commands() {
            // A subscription has as many replies as channels, which a pipeline does not expect.
            if class.confirmations().is_some() {
                return Err(self.forbidden(command, Refusal::Replies));
            }
            self.check_on_lease(command, class, &options)?;
            block = Block::after(block, class.block());
        }
        if work.replies() == 0 {
            return Ok((Vec::new(), Attempts::first_try(&options)));
        }
        // In a transaction nothing blocks.
        let block = block.filter(|_| !pipeline.is_transaction());
        let (answered, attempts) = self.call_on(grant, &work, block, &options).await?;
        Ok((answered.reply.into_many(), attempts))
    }

    /// Runs it once. There is no other attempt, because what was done on the connection before is gone
    /// with it; but a connection that broke before its first command was not worth having, and is
    /// replaced. That is part of the time that it may take in all.
    async fn call_on(
        &self,
        grant: &mut Grant,
        work: &(impl Work + Sync),
        block: Option<Block>,
        options: &CallOptions,
    ) -> Result<(Answered, Attempts), Error> {
        let mut attempts = 1;
        let limit = options.time_limit(block);
        let deadline = options.deadline(clock::now(), limit);
        loop {
            let mut admitted = self.admit()?;
            if block.is_some() {
                // What may take as long as it likes shows nothing, and shall keep nobody from trying.
                admitted.forgo_trial();
            }
            let packed = (work.pack().0, work.expected_on_lease());
            let is_fresh = grant.is_fresh();
            let sent = self.send(packed, deadline, |mut request| {
                request.may_block = block.is_some();
                grant.begin(work.effect());
                if let Err(refused) = grant.mailbox().send(request) {
                    let failure = Failure::Lost(CloseReason::Gone.into(), Execution::NotSent);
                    let mut request = refused.0;
                    request.responder.finish(Err(failure));
                    count(&self.state.counters.lost);
                }
            });
            let answer = sent.map_err(|limit| self.overloaded(limit.into()))?;
            let answer = given(answer.await);
            let was_stale = matches!(answer, Err(Failure::Lost(_, Execution::NotSent)));
            if is_fresh && was_stale && attempts < MAX_ATTEMPTS {
                attempts += 1;
                drop(admitted);
                count(&self.state.counters.retried);
                let now = clock::now();
                let wait = options.acquire_timeout(self.state.settings.load().acquire_timeout);
                let until = deadline.min(now + wait);
                let tried = Attempts {
                    count: attempts,
                    ..Attempts::not_sent(limit)
                };
                *grant = self.acquire_until(now, until, grant.by(), tried).await?;
                continue;
            }
            let outcome = classify(Self::end(work, &answer));
            self.tell(outcome.verdict, &admitted);
            settle(grant, work, &answer, outcome.again);
            let tried = Attempts {
                count: attempts,
                execution: outcome.execution,
                timeout: limit,
            };
            return self.conclude(answer, tried);
        }
    }

    /// How long commands may take at most, waiting for a connection included.
    pub(crate) fn longest<'a>(
        &self,
        commands: impl IntoIterator<Item = &'a Cmd>,
        options: CallOptions,
    ) -> Duration {
        let blocks = commands.into_iter().filter_map(|command| {
            match Class::of(args(command)) {
                // The server has not said yet whether it blocks.
                Class::Unknown => Some(Block::Forever),
                class => class.block(),
            }
        });
        match blocks.reduce(Block::then) {
            None => options.time_limit(None),
            block => {
                let acquire = options.acquire_timeout(self.state.settings.load().acquire_timeout);
                acquire.saturating_add(options.time_limit(block))
            }
        }
    }

    /// Some commands may not even run on a connection of one's own.
    fn check_on_lease(
        &self,
        command: &Cmd,
        class: Class,
        options: &CallOptions,
    ) -> Result<(), Error> {
        match class.refusal_on_lease(options.allow_admin) {
            Some(refusal) => Err(self.forbidden(command, refusal)),
            None => Ok(()),
        }
    }
}

/// Notes on the grant what the answer leaves behind on its connection.
fn settle(grant: &mut Grant, work: &impl Work, answer: &Answer, again: RetryAdvice) {
    let Ok(Answered { reply, .. }) = answer else {
        // Its reply may still come.
        return;
    };
    // The server is another one than it was, or another connection may lead to another.
    let is_suspect = work.error_code(reply) == Some("UNBLOCKED")
        || matches!(again, RetryAdvice::Elsewhere | RetryAdvice::OnceReady);
    grant.settle(work.has_ended(reply), is_suspect);
}
