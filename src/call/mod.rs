//! The engine of a call: admission, the hand-over to a backend, the answer, and another attempt where
//! that is safe.
//!
//! # Layout
//! - this file: [`CallEngine`], and a call whose first attempt succeeds · `plain`: a plain command, which most are
//! - `admission`: how a call passes the gate
//! - `options`: the caller's options · `work`: the command or pipeline of a call
//! - `retry`: the classification of an attempt, and the next attempt · `attempts`: their sum
//! - `stand_in`: a store in this process in place of a server that is away · `unserved`: a call before that · `watch`: what is read is
//!   remembered for that
//! - `leased`: calls on an exclusive connection · `subscribing`: the wait for the confirmation of subscriptions · `survey`: commands that are on no list ·
//!   `unheard`: commands that want no reply · `places`: reads that replicas may serve · `near`: calls with a near cache
//! - `scanning`: scans of all keys · `cluster/`: calls at the nodes of a cluster · `merged`: replies of several nodes as one
//! - `pipeline`: pipelines on their way through the `redis` crate · `aborted`: the error of a transaction ·
//!   `errors`: the errors of calls · `traced`: calls as traces tell of them · `front`: what a front asks for its clients · `underway`: a command of such a client

mod aborted;
mod admission;
mod attempts;
mod cluster;
mod errors;
mod front;
mod leased;
mod merged;
mod near;
mod options;
mod pipeline;
mod places;
mod plain;
mod retry;
mod scanning;
mod stand_in;
mod subscribing;
mod survey;
mod traced;
mod underway;
mod unheard;
mod unserved;
mod watch;
mod work;

pub(crate) use options::{CallOptions, Overrides};
pub(crate) use pipeline::PipelineRun;
pub(crate) use scanning::Wanted;
pub(crate) use underway::Underway;
pub(crate) use work::args;

use std::sync::Arc;

use oneshot::{AsyncReceiver, RecvError};
use redis::{Cmd, Pipeline, Value};
use tokio::{task::coop::consume_budget, time::Instant};

use self::{
    attempts::{Attempt, Attempts},
    work::{Batch, Single, Work},
};
use crate::{
    backend::{Backend, Server},
    error::Error,
    execution::Source,
    messages::Evidence,
    net::{Answer, Expected, Full, Reply, Request, Responder},
    policy::command::{Block, Class, Place, Refusal},
    state::{Admitted, DatabaseState, clock},
};

/// Runs calls on one database. All handles of the database share the state; a clone is another reference.
#[derive(Clone, Debug)]
pub(crate) struct CallEngine<B = Server> {
    pub(crate) state: Arc<DatabaseState>,
    backend: B,
}

impl CallEngine {
    pub(crate) fn new(state: Arc<DatabaseState>) -> Self {
        Self::on(state, Server)
    }
}

impl<B: Backend> CallEngine<B> {
    /// An engine on this backend.
    pub(crate) fn on(state: Arc<DatabaseState>, backend: B) -> Self {
        Self { state, backend }
    }

    /// The options of a call under the present settings.
    pub(crate) fn options(&self, overrides: Overrides) -> CallOptions {
        CallOptions::new(self.state.settings.for_call(), overrides)
    }

    /// Runs one command. An error reply of the server is an error.
    pub(crate) async fn execute(
        &self,
        command: &Cmd,
        options: &CallOptions,
    ) -> Result<Value, Error> {
        if options.has_near_cache {
            // Not by way of `execute_from`: each move of its larger result costs a hit a tenth of its time.
            if let Some(reply) = self.hit(command) {
                consume_budget().await;
                return Ok(reply);
            }
            return Ok(Box::pin(self.execute_near(command, *options)).await?.0);
        }
        Ok(self.execute_from(command, options).await?.0)
    }

    /// Runs one command that is not [plain](plain).
    async fn execute_otherwise(
        &self,
        command: &Cmd,
        options: CallOptions,
    ) -> Result<(Value, Source), Error> {
        if options.is_in_cluster {
            return self.execute_in_cluster(command, options).await;
        }
        if options.has_near_cache {
            if let Some(reply) = self.hit(command) {
                // Hits are ready at once, and a loop of them must not starve the other tasks of its thread.
                consume_budget().await;
                return Ok((reply, Source::Cache));
            }
            return self.execute_near(command, options).await;
        }
        if options.is_to_be_traced() {
            let options = options.traced();
            let call = self.execute_from(command, &options);
            return Box::pin(self.in_span(command, call)).await;
        }
        let (class, options) = match self.class(command) {
            Class::Unknown => self.ask(command, options).await?,
            class => (class, options),
        };
        let work = Single { command, class };
        let (reply, attempts) = match self.place(command, class, &options)? {
            None if command.is_no_response() => {
                let told = self.tell(&work, &options).await;
                return Ok((told?, Source::Redis));
            }
            None => self.call(&work, &options).await?,
            Some(block) => {
                self.refuse_alone(command, class)?;
                self.call_leased(&work, block, &options).await?
            }
        };
        Ok((reply.into_one(), attempts.source))
    }

    /// Runs a pipeline as one contiguous write. Returns all its replies, including the replies to MULTI and
    /// to the queueing of commands, and its attempts. Error replies are values among the replies.
    async fn execute_pipeline(
        &self,
        pipeline: &Pipeline,
        options: CallOptions,
    ) -> Result<(Vec<Value>, Attempts), Error> {
        if options.is_in_cluster {
            return Box::pin(self.execute_pipeline_in_cluster(pipeline, options)).await;
        }
        if options.has_near_cache {
            let _write = self.pipeline_writes(pipeline);
            let call = self.execute_pipeline(pipeline, options.without_near_cache());
            return Box::pin(call).await;
        }
        if options.is_to_be_traced() {
            let call = self.execute_pipeline(pipeline, options.traced());
            return Box::pin(self.in_span_of(pipeline, call)).await;
        }
        let place = |command: &Cmd, class| self.place(command, class, &options);
        let (work, block, options) = self.prepare(pipeline, options, place).await?;
        let called = match block {
            Some(block) => {
                if let Some((first, class)) = work.commands().next() {
                    self.refuse_alone(first, class)?;
                }
                Box::pin(self.call_leased(&work, block, &options)).await?
            }
            None => self.call(&work, &options).await?,
        };
        let (reply, attempts) = called;
        Ok((reply.into_many(), attempts))
    }

    /// The class of a command, as far as it is known.
    #[inline]
    fn class(&self, command: &Cmd) -> Class {
        match Class::of(args(command)) {
            Class::Unknown => self.surveyed(command),
            class => class,
        }
    }

    /// Prepares a pipeline: each of its commands with its class, how long it may block the connection, and
    /// the options that are left for it after a question to the server about its commands. A pipeline of no
    /// commands is refused, as an empty command is.
    ///
    /// `place` refuses a command or tells how long it may block.
    async fn prepare<'a>(
        &self,
        pipeline: &'a Pipeline,
        options: CallOptions,
        place: impl Fn(&Cmd, Class) -> Result<Option<Block>, Error>,
    ) -> Result<(Batch<'a>, Option<Block>, CallOptions), Error> {
        if pipeline.is_empty() && !pipeline.is_transaction() {
            return Err(self.forbidden(&Cmd::new(), Refusal::Empty));
        }
        let mut work = Batch::new(pipeline, |command| self.class(command));
        let mut asked = None;
        if work.has_unknown() {
            let began = clock::now();
            asked = Some(began);
            // The questions share one deadline.
            let options = options.counted_from(began);
            for (command, class) in work.unknown() {
                *class = Box::pin(self.learn(command, &options)).await?;
            }
        }
        let mut block = None;
        for (command, class) in work.commands() {
            block = Block::after(block, place(command, class)?);
        }
        // In a transaction nothing blocks.
        let block = block.filter(|_| !pipeline.is_transaction());
        Ok((work, block, options.after_question(asked, block)))
    }

    /// Where a command runs: on a shared connection (`None`), or on an exclusive one, which it may block
    /// for so long. A command that may run on neither is refused before a byte is written.
    fn place(
        &self,
        command: &Cmd,
        class: Class,
        options: &CallOptions,
    ) -> Result<Option<Block>, Error> {
        match class.place(options.allow_admin) {
            Place::Shared => Ok(None),
            Place::SharedOn(number) if number == self.state.settings.load().number => Ok(None),
            Place::SharedOn(_) => Err(self.forbidden(command, Refusal::Session)),
            Place::Leased(block) => Ok(Some(block)),
            Place::Refused(refusal) => Err(self.forbidden(command, refusal)),
        }
    }

    /// Refuses a command that asks about the commands before it (`WAIT`): on a connection of its own there
    /// are none.
    fn refuse_alone(&self, command: &Cmd, class: Class) -> Result<(), Error> {
        if class.looks_back() {
            Err(self.forbidden(command, Refusal::Alone))
        } else {
            Ok(())
        }
    }

    /// Runs work on a shared connection. The work is encoded once it is admitted, so that a refusal by an
    /// open circuit costs no encoding.
    ///
    /// Cancelling it is safe at any point: a request that is not written yet is skipped, and the reply to
    /// a written request is consumed by its connection.
    async fn call(
        &self,
        work: &(impl Work + Sync),
        options: &CallOptions,
    ) -> Result<(Reply, Attempts), Error> {
        if options.is_to_be_watched() {
            return Box::pin(self.call_watched(&self.state.seen, work, options)).await;
        }
        let began = options.began.unwrap_or_else(clock::now);
        let deadline = options.end(began);
        let admitted = match self.state.gate.try_enter() {
            Ok(admitted) => admitted,
            Err(closed) => match self.enter_later(closed, options, deadline).await {
                Ok(admitted) => admitted,
                Err(unserved) => {
                    // Boxed, as below.
                    return Box::pin(self.stand_in(work, options, deadline, unserved)).await;
                }
            },
        };
        let sent = self.hand(work, options, (began, deadline));
        let answer = sent.map_err(|full| self.full(full))?;
        match answer.await {
            Ok(Ok(answered)) if !answered.reply.has_error() => {
                self.succeeded(&admitted);
                Ok((answered.reply, Attempts::first_try(options)))
            }
            answer => {
                let attempt = Attempt {
                    admitted,
                    began,
                    deadline,
                };
                // Boxed, so that the large future of this rare case does not enlarge that of every call.
                Box::pin(self.call_again(work, options, attempt, received(answer))).await
            }
        }
    }

    /// Hands over work that was admitted.
    fn hand(
        &self,
        work: &impl Work,
        options: &CallOptions,
        times: (Instant, Instant),
    ) -> Result<AsyncReceiver<Answer>, Full> {
        let (bytes, is_large) = (work.pack(), work.may_be_large());
        self.send(bytes, is_large, options, times, |request| {
            self.hand_over(request, options);
        })
    }

    fn send(
        &self,
        (bytes, expected): (Vec<u8>, Expected),
        may_be_large: bool,
        options: &CallOptions,
        (began, deadline): (Instant, Instant),
        hand_over: impl FnOnce(Request),
    ) -> Result<AsyncReceiver<Answer>, Full> {
        let permit = self.state.in_flight.enter(bytes.len())?;
        let (mut responder, answer) = Responder::new(permit);
        responder.set_patience(options.is_patient);
        responder.set_keeps_texts(options.keeps_texts);
        hand_over(Request {
            began: Some(began),
            may_be_large,
            ..Request::new(bytes, expected, deadline, responder)
        });
        Ok(answer)
    }

    #[inline]
    fn hand_over(&self, request: Request, options: &CallOptions) {
        let left = match options.behind {
            None => Err(request),
            Some(slot) => self
                .state
                .cluster
                .migrations
                .hold(slot, &self.state, request),
        };
        if let Err(request) = left {
            self.backend.send(&self.state, request);
        }
    }

    fn succeeded(&self, admitted: &Admitted) {
        self.state.gate.note_success();
        if admitted.is_trial() {
            let epoch = admitted.epoch;
            self.state.report(Evidence::TrialSucceeded { epoch });
        }
    }
}

/// The answer of a request: a dropped request is answered by its responder, so there always is one.
fn received(answer: Result<Answer, RecvError>) -> Answer {
    answer.unwrap_or_else(|_| unreachable!("BUG: a request was dropped without an answer"))
}

#[cfg(test)]
mod tests;
