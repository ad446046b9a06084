//! Commands on a connection that nobody else uses.

use std::{panic::Location, sync::Arc, time::Duration};

use redis::{Cmd, Pipeline, Value};
use tokio::time::Instant;

use super::{
    Dispatcher, Grant, NoGrant, Terms, args, given,
    persist::Tried,
    work::{Work, extra_replies},
};
use crate::{
    error::{Error, Execution, Limit, Stage},
    messages::{Acquire, Waiting},
    net::{Answer, Failure, Loss, Reply},
    policy::{
        command::{self, Block, Place, Refusal},
        outcome::{Again, judge},
        retry::MAX_ATTEMPTS,
    },
    stats::count,
};

/// Where a lease was asked for.
pub(crate) type Caller = &'static Location<'static>;

impl Dispatcher {
    /// A connection that nobody else uses, as soon as there is one.
    ///
    /// Cancelling it is safe: a connection that is on its way goes back, and one that is being opened
    /// for it is there for the next.
    pub(crate) async fn acquire(&self, terms: Terms, by: Option<Caller>) -> Result<Grant, Error> {
        let now = Instant::now();
        let wait = terms.acquire_timeout(self.settings.acquire_timeout);
        self.acquire_until(now, now + wait, by, Tried::in_vain(wait))
            .await
    }

    async fn acquire_until(
        &self,
        now: Instant,
        deadline: Instant,
        by: Option<Caller>,
        tried: Tried,
    ) -> Result<Grant, Error> {
        // Waiting is no trial: that begins with the first command.
        drop(self.gate.enter().map_err(|passage| self.refused(passage))?);
        if !self.permits.permits_leases() {
            let limit = Limit::Connections(self.settings.max_connections);
            return Err(self.overloaded(limit));
        }
        if deadline <= now {
            return Err(self.acquire_timed_out(tried, None));
        }
        let (answer, granted) = oneshot::async_channel();
        if let Some(pool) = &*self.pool.load() {
            pool.acquire.do_send(Acquire(Waiting {
                answer,
                deadline,
                by,
            }));
        }
        match granted.await {
            Ok(Ok(grant)) => {
                self.counters.acquire_wait.record(now.elapsed());
                Ok(grant)
            }
            Ok(Err(NoGrant::TimedOut(last_error))) => {
                Err(self.acquire_timed_out(tried, last_error))
            }
            Ok(Err(NoGrant::TooManyWait)) => {
                let limit = Limit::Parked(self.settings.max_parked);
                Err(self.overloaded_by(limit, &self.counters.waiting))
            }
            Ok(Err(NoGrant::ShuttingDown)) => Err(Error::ShuttingDown {
                database: self.name(),
                execution: Execution::NotSent,
            }),
            // The pool has crashed, or has been shut down.
            Err(_) => {
                let failure = Failure::Abandoned(Execution::NotSent);
                Err(self.explain(failure, tried))
            }
        }
    }

    fn acquire_timed_out(&self, tried: Tried, last_error: Option<Arc<str>>) -> Error {
        count(&self.counters.timed_out);
        self.timed_out(Stage::Acquire, tried, last_error)
    }

    /// Runs on a connection of its own what the server may keep for so long.
    pub(super) async fn call_apart(
        &self,
        work: &(impl Work + Sync),
        block: Block,
        terms: Terms,
    ) -> Result<(Reply, Tried), Error> {
        let now = Instant::now();
        let mut grant = self.acquire(terms, None).await?;
        // What the caller has set holds for the wait and the command together.
        let terms = terms.strictly_from(now);
        self.call_on(&mut grant, work, Some(block), terms).await
    }

    /// Runs a command on a leased connection.
    pub(crate) async fn execute_on(
        &self,
        grant: &mut Grant,
        command: &Cmd,
        terms: Terms,
    ) -> Result<Value, Error> {
        let block = self.block_on_lease(command)?;
        match self.call_on(grant, command, block, terms).await?.0 {
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
        terms: Terms,
    ) -> Result<(Vec<Value>, Tried), Error> {
        let mut block = None;
        for command in pipeline.cmd_iter() {
            self.refuse_in_pipeline(command)?;
            if let Some(next) = self.block_on_lease(command)? {
                block = Some(block.map_or(next, |block: Block| block.then(next)));
            }
        }
        if pipeline.len() + extra_replies(pipeline) == 0 {
            return Ok((Vec::new(), Tried::at_once(terms)));
        }
        // In a transaction nothing blocks.
        let block = block.filter(|_| !pipeline.is_transaction());
        match self.call_on(grant, pipeline, block, terms).await? {
            (Reply::Many(values), tried) => Ok((values, tried)),
            (Reply::One(_), _) => unreachable!("BUG: many replies were expected and one came"),
        }
    }

    /// Runs it once. There is no other attempt, because what was done on the connection before is gone
    /// with it; but a connection that broke before its first command was not worth having, and is
    /// replaced. That is part of the time that it may take in all.
    async fn call_on(
        &self,
        grant: &mut Grant,
        work: &(impl Work + Sync),
        block: Option<Block>,
        terms: Terms,
    ) -> Result<(Reply, Tried), Error> {
        let mut attempts = 1;
        let patience = terms.patience(block);
        let deadline = terms.deadline(Instant::now(), patience);
        loop {
            let mut admitted = self.gate.enter().map_err(|passage| self.refused(passage))?;
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
                    let failure = Failure::Lost(Loss::Gone.into(), Execution::NotSent);
                    let mut request = refused.0;
                    request.responder.finish(Err(failure));
                    count(&self.counters.lost);
                }
                None
            });
            let (answer, _) = sent.map_err(|full| self.overloaded(full.into()))?;
            let answer = given(answer.await);
            let was_stale = matches!(answer, Err(Failure::Lost(_, Execution::NotSent)));
            if is_fresh && was_stale && attempts < MAX_ATTEMPTS {
                attempts += 1;
                drop(admitted);
                count(&self.counters.retried);
                let now = Instant::now();
                let wait = terms.acquire_timeout(self.settings.acquire_timeout);
                let until = deadline.min(now + wait);
                let tried = Tried {
                    attempts,
                    ..Tried::in_vain(patience)
                };
                *grant = self.acquire_until(now, until, grant.by(), tried).await?;
                continue;
            }
            let outcome = judge(Self::end(work, &answer));
            self.tell(outcome.verdict, &admitted);
            grant.finish(work, &answer, outcome.again);
            let tried = Tried {
                attempts,
                execution: outcome.execution,
                timeout: patience,
            };
            return self.conclude(answer, tried);
        }
    }

    /// How long commands may take at most, waiting for a connection included.
    pub(crate) fn longest<'a>(
        &self,
        commands: impl IntoIterator<Item = &'a Cmd>,
        terms: Terms,
    ) -> Duration {
        let blocks = commands.into_iter().filter_map(|command| {
            match command::place(args(command), self.settings.allow_admin) {
                Place::Leased(block) => Some(block),
                Place::Shared | Place::Refused(_) => None,
            }
        });
        match blocks.reduce(Block::then) {
            None => terms.patience(None),
            block => {
                let acquire = terms.acquire_timeout(self.settings.acquire_timeout);
                acquire.saturating_add(terms.patience(block))
            }
        }
    }

    /// How long the server may keep a command on a connection of its own, if it may run there.
    fn block_on_lease(&self, command: &Cmd) -> Result<Option<Block>, Error> {
        let (args, allow_admin) = (args(command), self.settings.allow_admin);
        if let Some(refusal) = command::refuse_on_lease(args.clone(), allow_admin) {
            return Err(self.forbidden(args, refusal));
        }
        Ok(match command::place(args, allow_admin) {
            Place::Leased(block) => Some(block),
            Place::Shared | Place::Refused(_) => None,
        })
    }

    /// A subscription has as many replies as channels, which a pipeline does not expect.
    fn refuse_in_pipeline(&self, command: &Cmd) -> Result<(), Error> {
        let args = args(command);
        match command::confirmations(args.clone()) {
            Some(_) => Err(self.forbidden(args, Refusal::Replies)),
            None => Ok(()),
        }
    }
}

impl Grant {
    /// What its answer leaves behind on the connection.
    fn finish(&mut self, work: &impl Work, answer: &Answer, again: Again) {
        let Ok(reply) = answer else {
            // Its reply may still come.
            return;
        };
        // The server is another one than it was, or another connection may lead to another.
        let is_suspect = work.error_code(reply) == Some("UNBLOCKED")
            || matches!(again, Again::Elsewhere | Again::OnceReady);
        self.settle(work.has_ended(reply), is_suspect);
    }
}
