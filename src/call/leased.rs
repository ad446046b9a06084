//! Commands on an exclusive connection.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use redis::{Cmd, Pipeline, Value};
use tokio::time::Instant;

use super::{
    CallEngine, CallOptions,
    attempts::Attempts,
    received,
    watch::Write,
    work::{Single, Work},
};
use crate::{
    backend::Backend,
    error::{Error, Limit},
    events::Reason,
    execution::{Execution, Source, Stage},
    messages::{Caller, Grant, LeaseAnswer, NoGrant, Waiting},
    net::{Answer, Answered, CloseReason, Failure, Reply},
    policy::{
        command::{Block, Class, Refusal},
        gate_state::GateState,
        outcome::{AttemptEnd, RetryAdvice, Verdict, classify, combine},
        retry,
    },
    reply_code::ReplyCode,
    state::{clock, count},
};

impl<B: Backend> CallEngine<B> {
    /// An exclusive connection, as soon as there is one.
    ///
    /// Cancelling it is safe: a connection already granted goes back to the pool, and one that is being
    /// opened for it serves the next caller.
    pub(crate) async fn acquire(
        &self,
        options: CallOptions,
        by: Option<Caller>,
    ) -> Result<Grant, Error> {
        let now = clock::now();
        let wait = options.acquire_timeout(self.state.settings.load().acquire_timeout);
        let deadline = options.deadline(now, wait);
        self.acquire_until(now, deadline, by, &options, Attempts::not_sent(wait))
            .await
    }

    async fn acquire_until(
        &self,
        now: Instant,
        deadline: Instant,
        by: Option<Caller>,
        options: &CallOptions,
        attempts: Attempts,
    ) -> Result<Grant, Error> {
        // The admission is dropped: a trial begins with the first command, not with the wait for a lease.
        drop(self.enter(options, deadline).await?);
        if !self.state.permits.permits_leases() {
            let limit = Limit::Connections(self.state.settings.load().max_connections);
            return Err(self.overloaded(limit));
        }
        if deadline <= now {
            return Err(self.acquire_timed_out(attempts));
        }
        let (answer, granted) = oneshot::async_channel();
        let waiting = Waiting {
            answer: LeaseAnswer::new(answer),
            deadline,
            is_patient: options.is_patient,
            by,
        };
        self.backend.lend(&self.state, waiting);
        match granted.await {
            Ok(Ok(grant)) => {
                self.state.counters.acquire_wait.record(clock::now() - now);
                Ok(grant)
            }
            Ok(Err(NoGrant::TimedOut)) => Err(self.acquire_timed_out(attempts)),
            Ok(Err(NoGrant::TooManyWait)) => {
                let limit = Limit::Parked(self.state.settings.load().max_parked);
                Err(self.overloaded_by(limit, self.state.counters.waiting.load(Relaxed)))
            }
            Ok(Err(NoGrant::CircuitOpened)) => Err(self.refused(GateState::Open)),
            Ok(Err(NoGrant::ShuttingDown)) => Err(self.over(Execution::NotSent, 1)),
            // The pool has crashed, or has been shut down.
            Err(_) => {
                let failure = Failure::Abandoned(Execution::NotSent);
                Err(self.explain(failure, attempts))
            }
        }
    }

    fn acquire_timed_out(&self, attempts: Attempts) -> Error {
        count(&self.state.counters.timed_out);
        count(&self.state.counters.acquire_timeouts);
        let shared_error = self.state.dial_error.load();
        let lease_error = self.state.lease_error.load();
        let last_error = shared_error.as_deref().or(lease_error.as_deref()).cloned();
        let error = self.timed_out(Stage::Acquire, attempts, last_error);
        self.state.counters.note_error(&error);
        error
    }

    /// Runs work that may block for so long on a connection of its own. If that is lost, the work is sent
    /// again over another one where it may run twice.
    pub(super) async fn call_leased(
        &self,
        work: &(impl Work + Sync),
        block: Block,
        options: &CallOptions,
    ) -> Result<(Reply, Attempts), Error> {
        let now = clock::now();
        let mut grant = self.acquire(*options, None).await?;
        // A timeout set by the caller holds for the wait and the command together.
        let options = options.strictly_from(now);
        let deadline = options.deadline(clock::now(), options.time_limit(Some(block)));
        let options = options.ending(deadline);
        let first = Attempts::not_sent(options.timeout);
        let called = self
            .call_on(&mut grant, work, Some(block), &options, first)
            .await;
        let Err(
            lost @ Error::ConnectionLost {
                execution,
                attempts,
                ..
            },
        ) = called
        else {
            return called;
        };
        drop(grant);
        if !self.may_send_again(work, &options, execution, attempts) {
            return Err(lost);
        }
        let attempts = Attempts {
            count: attempts + 1,
            execution,
            timeout: options.timeout,
            source: Source::Redis,
        };
        let again = self
            .call_leased_again(work, block, &options, attempts)
            .await;
        again.map_err(|error| match error.execution() {
            // It was not made after all, so the earlier attempt tells more.
            Execution::NotSent => {
                if is_counted(&error) {
                    count(&self.state.counters.retried);
                }
                lost
            }
            _ => error,
        })
    }

    /// Whether work may be sent again whose connection was lost with it.
    fn may_send_again(
        &self,
        work: &impl Work,
        options: &CallOptions,
        execution: Execution,
        attempts: u32,
    ) -> bool {
        let again = classify(AttemptEnd::ConnectionLost(execution)).again;
        let only_reads = || work.only_reads();
        let jitter = clock::jitter();
        let attempts = (attempts, self.state.settings.load().max_attempts);
        let next = retry::next(again, options.idempotence, only_reads, attempts, jitter);
        next.is_some() && self.state.withdraw_retry(clock::now().into_std())
    }

    async fn call_leased_again(
        &self,
        work: &(impl Work + Sync),
        block: Block,
        options: &CallOptions,
        attempts: Attempts,
    ) -> Result<(Reply, Attempts), Error> {
        let now = clock::now();
        let wait = options.acquire_timeout(self.state.settings.load().acquire_timeout);
        let until = options.deadline(now, wait);
        let acquiring = Attempts::not_sent(wait);
        let mut grant = self
            .acquire_until(now, until, None, options, acquiring)
            .await?;
        count(&self.state.counters.retried);
        self.call_on(&mut grant, work, Some(block), options, attempts)
            .await
    }

    /// Runs a command on a leased connection.
    pub(crate) async fn execute_on(
        &self,
        grant: &mut Grant,
        command: &Cmd,
        options: &CallOptions,
    ) -> Result<Value, Error> {
        if options.is_to_be_traced() {
            let options = options.traced();
            let call = self.execute_on(grant, command, &options);
            return Box::pin(self.in_span(command, call)).await;
        }
        let _write = options.has_near_cache.then(|| self.writes([command]));
        let (class, options) = match self.class(command) {
            Class::Unknown => Box::pin(self.ask(command, *options)).await?,
            class => (class, *options),
        };
        self.check_on_lease(command, class, &options)?;
        let work = Single { command, class };
        let block = class.block();
        if command.is_no_response() {
            return self.tell_on(grant, &work, block, &options).await;
        }
        let first = Attempts::not_sent(options.timeout);
        let called = self.call_on(grant, &work, block, &options, first).await?;
        match called.0 {
            Reply::One(value) => Ok(value),
            // Confirmations of subscriptions.
            Reply::Many(values) => Ok(Value::Array(values)),
        }
    }

    /// Runs a pipeline on a leased connection, as [`Self::execute_pipeline`] does on a shared one.
    pub(super) async fn execute_pipeline_on(
        &self,
        grant: &mut Grant,
        pipeline: &Pipeline,
        options: CallOptions,
    ) -> Result<(Vec<Value>, Attempts), Error> {
        if options.is_to_be_traced() {
            let call = self.execute_pipeline_on(grant, pipeline, options.traced());
            return Box::pin(self.in_span_of(pipeline, call)).await;
        }
        let _write = options
            .has_near_cache
            .then(|| self.pipeline_writes(pipeline));
        let place = |command: &Cmd, class: Class| {
            // A subscription has as many replies as channels, which a pipeline does not expect.
            if class.confirmations().is_some() {
                return Err(self.forbidden(command, Refusal::Replies));
            }
            self.check_on_lease(command, class, &options)?;
            Ok(class.block())
        };
        let (work, block, options) = self.prepare(pipeline, options, place).await?;
        let first = Attempts::not_sent(options.timeout);
        let (reply, attempts) = self.call_on(grant, &work, block, &options, first).await?;
        Ok((reply.into_many(), attempts))
    }

    /// Runs work once on a leased connection. It is not retried, because the state of the session is lost
    /// with its connection. Only a connection that broke before its first command is replaced, because it
    /// has no state yet. The replacement counts against the time limit. `attempts` are those of the
    /// call, with this one, and whether an earlier one may have run.
    async fn call_on(
        &self,
        grant: &mut Grant,
        work: &(impl Work + Sync),
        block: Option<Block>,
        options: &CallOptions,
        mut attempts: Attempts,
    ) -> Result<(Reply, Attempts), Error> {
        let _write = Write::begins(self.seen(options), work);
        let limit = options.time_limit(block);
        attempts.timeout = limit;
        let began = clock::now();
        let deadline = options.deadline(began, limit);
        loop {
            let mut admitted = self.enter(options, deadline).await?;
            if block.is_some() {
                // A blocking command says nothing about the server, and would withhold the trial from
                // other callers for as long as it blocks.
                admitted.forgo_trial();
            }
            let packed = (work.pack().0, work.expected_on_lease());
            let is_fresh = grant.session.is_fresh();
            let may_introduce = block.is_some()
                && grant.session.takes_questions()
                && !self.state.refuses_introductions.load(Relaxed);
            let sent = self.send(
                packed,
                work.may_be_large(),
                options,
                (began, deadline),
                |mut request| {
                    request.may_block = block.is_some();
                    request.may_introduce = may_introduce;
                    grant.session.begin(work.effect());
                    if let Err(refused) = grant.mailbox().send(request) {
                        let failure = Failure::Lost(CloseReason::Gone.into(), Execution::NotSent);
                        let mut request = refused.0;
                        request.responder.finish(Err(failure));
                        count(&self.state.counters.lost);
                    }
                },
            );
            let answer = sent.map_err(|full| self.full(full))?;
            let answer = received(answer.await);
            let was_stale = matches!(answer, Err(Failure::Lost(_, Execution::NotSent)));
            if is_fresh && was_stale && attempts.count < self.state.settings.load().max_attempts {
                attempts.count += 1;
                drop(admitted);
                count(&self.state.counters.retried);
                let now = clock::now();
                let wait = options.acquire_timeout(self.state.settings.load().acquire_timeout);
                let until = deadline.min(now + wait);
                let acquiring = Attempts {
                    execution: Execution::NotSent,
                    ..attempts
                };
                *grant = self
                    .acquire_until(now, until, grant.by(), options, acquiring)
                    .await?;
                continue;
            }
            let outcome = classify(Self::attempt_end(work, &answer));
            // A caller can log out of its own connection.
            if is_fresh || outcome.verdict != Verdict::Failing(Reason::Rejected) {
                self.report_verdict(outcome.verdict, &admitted);
            }
            settle(grant, work, &answer, outcome.again);
            attempts.execution = combine(attempts.execution, outcome.execution);
            return self.conclude(answer, attempts);
        }
    }

    /// The longest time that commands may take, the wait for a connection included.
    pub(crate) fn longest<'a>(
        &self,
        commands: impl IntoIterator<Item = &'a Cmd>,
        options: CallOptions,
    ) -> Duration {
        let classes = commands.into_iter().map(|command| self.class(command));
        let blocks = classes.filter_map(Class::block);
        match blocks.reduce(Block::then) {
            None => options.time_limit(None),
            block => {
                let acquire = options.acquire_timeout(self.state.settings.load().acquire_timeout);
                acquire.saturating_add(options.time_limit(block))
            }
        }
    }

    /// Refuses a command that may not run even on an exclusive connection.
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

/// Notes on the grant the state that the answer leaves behind on its connection.
fn settle(grant: &mut Grant, work: &impl Work, answer: &Answer, again: RetryAdvice) {
    let reply = match answer {
        Ok(Answered { reply, .. }) => reply,
        // All of the reply was read. It is not known whether it ended a transaction.
        Err(Failure::ReplyTooLarge(_)) => return grant.session.settle(false),
        // Without an answer the connection stays busy: the reply may still come.
        Err(_) => return,
    };
    grant.session.settle(work.has_ended(reply));
    let code = work.error_code(reply).map(ReplyCode::of);
    match again {
        // A server that has changed its role ends the connection.
        _ if code == Some(ReplyCode::Unblocked) => grant.session.change(),
        // A new connection opens once the server is ready.
        RetryAdvice::OnceReady => grant.session.change(),
        RetryAdvice::Elsewhere => grant.session.suspect(),
        _ => {}
    }
}

/// Whether a counter has the end of a wait for a connection. At the end of the supervisor, some are in none.
fn is_counted(error: &Error) -> bool {
    !matches!(
        error,
        Error::ShuttingDown { .. } | Error::UnknownDatabase { .. }
    )
}
