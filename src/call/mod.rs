//! The way of a call: admission, route, reply, and another attempt where that is safe.

mod attempts;
mod errors;
mod leased;
mod options;
mod pipeline;
mod retry;
mod work;

pub(crate) use options::CallOptions;
pub(crate) use pipeline::PipelineRun;
pub(crate) use work::args;

use std::{sync::Arc, time::Duration};

use oneshot::{AsyncReceiver, RecvError};
use redis::{Cmd, Pipeline, Value};
use tokio::time::Instant;

use self::{
    attempts::{Attempt, Attempts},
    work::{Work, extra_replies},
};
use crate::{
    config::MAX_WAIT,
    error::Error,
    messages::{News, Park},
    net::{Answer, AtLimit, Expected, Reply, Request, Responder},
    policy::command::{self, Block, Place, Refusal},
    state::{Admitted, DatabaseState},
};

/// Runs calls on one database. All its handles share the state, and a clone is another reference.
#[derive(Clone, Debug)]
pub(crate) struct CallEngine {
    pub(crate) state: Arc<DatabaseState>,
}

impl CallEngine {
    pub(crate) fn new(state: Arc<DatabaseState>) -> Self {
        Self { state }
    }

    /// The options of a caller who has asked for nothing else.
    pub(crate) fn options(&self) -> CallOptions {
        CallOptions::new(self.state.settings.command_timeout)
    }

    /// Runs one command. An error reply of the server is an error.
    pub(crate) async fn execute(
        &self,
        command: &Cmd,
        options: CallOptions,
    ) -> Result<Value, Error> {
        let reply = match self.place(command)? {
            None => self.call(command, options).await?.0,
            // In a box of its own, because nearly no command needs what it needs.
            Some(block) => {
                self.refuse_alone(command)?;
                Box::pin(self.call_leased(command, block, options)).await?.0
            }
        };
        match reply {
            Reply::One(value) => Ok(value),
            Reply::Many(_) => unreachable!("BUG: one reply was expected and many came"),
        }
    }

    /// Runs a pipeline as one contiguous write. Returns all its replies, those to MULTI and to the
    /// queueing of commands included; error replies are values among them. And what it took to get
    /// them.
    async fn execute_pipeline(
        &self,
        pipeline: &Pipeline,
        options: CallOptions,
    ) -> Result<(Vec<Value>, Attempts), Error> {
        let mut block = None;
        for command in pipeline.cmd_iter() {
            if let Some(next) = self.place(command)? {
                block = Some(block.map_or(next, |block: Block| block.then(next)));
            }
        }
        if pipeline.len() + extra_replies(pipeline) == 0 {
            return Ok((Vec::new(), Attempts::first_try(options)));
        }
        let called = match block {
            // In a transaction nothing blocks.
            Some(block) if !pipeline.is_transaction() => {
                pipeline
                    .cmd_iter()
                    .next()
                    .map_or(Ok(()), |it| self.refuse_alone(it))?;
                Box::pin(self.call_leased(pipeline, block, options)).await?
            }
            _ => self.call(pipeline, options).await?,
        };
        match called {
            (Reply::Many(values), tried) => Ok((values, tried)),
            (Reply::One(_), _) => unreachable!("BUG: many replies were expected and one came"),
        }
    }

    /// Where a command runs: on a connection that others share, or for so long on one of its own. What
    /// may run on neither is refused before a byte is written.
    fn place(&self, command: &Cmd) -> Result<Option<Block>, Error> {
        let args = args(command);
        match command::place(args.clone(), self.state.settings.allow_admin) {
            Place::Shared => Ok(None),
            Place::Leased(block) => Ok(Some(block)),
            Place::Refused(refusal) => Err(self.forbidden(args, refusal)),
        }
    }

    /// Nothing before it was sent on the connection that is to run it.
    fn refuse_alone(&self, command: &Cmd) -> Result<(), Error> {
        let args = args(command);
        match command::looks_back(args.clone()) {
            true => Err(self.forbidden(args, Refusal::Alone)),
            false => Ok(()),
        }
    }

    /// It is packed once it is admitted, so that what an open circuit refuses is not.
    ///
    /// Cancelling it is safe at any point: a request that is not written yet is skipped, and the
    /// reply of one that is written is consumed by its connection.
    async fn call(
        &self,
        work: &(impl Work + Sync),
        options: CallOptions,
    ) -> Result<(Reply, Attempts), Error> {
        let admitted = self
            .state
            .gate
            .enter()
            .map_err(|passage| self.refused(passage))?;
        let deadline = Instant::now() + options.timeout.min(MAX_WAIT);
        let sent = self.send(work.pack(), deadline, |it| self.hand_over(it));
        let (answer, route) = sent.map_err(|full| self.overloaded(full.into()))?;
        match answer.await {
            Ok(Ok(reply)) if !reply.has_error() => {
                self.succeeded(&admitted);
                Ok((reply, Attempts::first_try(options)))
            }
            answer => {
                let attempt = Attempt {
                    admitted,
                    deadline,
                    route,
                };
                // In a box of its own, because nearly no call needs what it needs.
                Box::pin(self.retry(work, options, attempt, given(answer))).await
            }
        }
    }

    fn send(
        &self,
        (bytes, expected): (Vec<u8>, Expected),
        deadline: Instant,
        hand_over: impl FnOnce(Request) -> Option<u64>,
    ) -> Result<(AsyncReceiver<Answer>, Option<u64>), AtLimit> {
        let slot = self.state.load.enter(bytes.len())?;
        let (responder, answer) = Responder::new(slot);
        let request = Request {
            bytes,
            expected,
            deadline,
            may_block: false,
            responder,
        };
        Ok((answer, hand_over(request)))
    }

    /// To the connection that is ready, or to the pool. Tells to which connection.
    fn hand_over(&self, request: Request) -> Option<u64> {
        let routes = self.state.routes.load();
        let request = match &*routes {
            Some(routes) => {
                let route = routes.least_loaded();
                match route.mailbox.send(request) {
                    Ok(()) => return Some(route.id),
                    Err(refused) => refused.0,
                }
            }
            None => request,
        };
        self.park(request, Duration::ZERO);
        None
    }

    /// A pool that is gone drops the request, which answers it.
    fn park(&self, request: Request, after: Duration) {
        if let Some(pool) = &*self.state.pool.load() {
            pool.park.do_send(Park { request, after });
        }
    }

    fn succeeded(&self, admitted: &Admitted) {
        self.state.gate.note_success();
        if admitted.is_trial() {
            let epoch = admitted.epoch;
            self.state.report(News::TrialSucceeded { epoch });
        }
    }
}

fn given(answer: Result<Answer, RecvError>) -> Answer {
    answer.unwrap_or_else(|_| unreachable!("BUG: a request was dropped without an answer"))
}
