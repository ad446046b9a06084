//! What all handles of one database share, and the way of a command: admission, route, reply.

mod explain;

pub(crate) use explain::{conversion, from_redis, nested};

use std::{sync::Arc, time::Duration};

use actix::Recipient;
use arc_swap::ArcSwapOption;
use oneshot::AsyncReceiver;
use redis::{Arg, Cmd, Pipeline, Value};
use tokio::time::Instant;

use crate::{
    config::DatabaseSettings,
    error::Error,
    events::Reason,
    messages::{Execute, News, Park, Redial, Report, Retire, Sweep},
    net::{Answer, Expected, Failure, Load, Mailbox, Reply, Request, Responder},
    policy::{
        admission::{Admitted, Gate},
        command,
        outcome::{End, Verdict, execution_of_error, verdict},
    },
    stats::{Counters, count},
};

/// The data plane's end of one database. The actors publish to it: the pool its route, the health
/// actor the state of the circuit, the supervisor the addresses of actors that it started anew.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    pub(crate) settings: Arc<DatabaseSettings>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) load: Arc<Load>,
    pub(crate) counters: Arc<Counters>,
    /// Where commands go; `None` while no connection is ready.
    pub(crate) route: ArcSwapOption<Mailbox>,
    pub(crate) pool: ArcSwapOption<PoolLink>,
    pub(crate) health: ArcSwapOption<Recipient<Report>>,
    /// Why the circuit is open and when that may end.
    pub(crate) outage: ArcSwapOption<Outage>,
    /// Why the last attempt to connect failed, while none has succeeded since.
    pub(crate) dial_error: ArcSwapOption<Arc<str>>,
}

/// What a pool can be asked. Nobody but the supervisor knows its type.
#[derive(Debug)]
pub(crate) struct PoolLink {
    pub(crate) execute: Recipient<Execute>,
    pub(crate) park: Recipient<Park>,
    pub(crate) redial: Recipient<Redial>,
    pub(crate) retire: Recipient<Retire>,
    pub(crate) sweep: Recipient<Sweep>,
}

/// An open circuit.
#[derive(Debug)]
pub(crate) struct Outage {
    pub(crate) reason: Reason,
    pub(crate) cause: Option<Arc<str>>,
    pub(crate) next_probe: Instant,
}

/// The longest deadline or grace: "for ever" would overflow the clock.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Whether a command of the pipeline runs a script.
pub(crate) fn runs_script(pipeline: &Pipeline) -> bool {
    pipeline.cmd_iter().any(|it| command::runs_script(args(it)))
}

impl Dispatcher {
    pub(crate) fn new(settings: Arc<DatabaseSettings>) -> Arc<Self> {
        Arc::new(Self {
            gate: Gate::new(),
            load: Load::new(settings.max_in_flight, settings.max_in_flight_bytes),
            counters: Arc::default(),
            route: ArcSwapOption::empty(),
            pool: ArcSwapOption::empty(),
            health: ArcSwapOption::empty(),
            outage: ArcSwapOption::empty(),
            dial_error: ArcSwapOption::empty(),
            settings,
        })
    }

    pub(crate) fn name(&self) -> Arc<str> {
        self.settings.name.clone()
    }

    /// Runs one command. An error reply of the server is an error.
    pub(crate) async fn execute(&self, command: &Cmd, timeout: Duration) -> Result<Value, Error> {
        self.check(command)?;
        let pack = || (command.get_packed_command(), Expected::One);
        let runs_script = || command::runs_script(args(command));
        match self.call(pack, timeout, runs_script).await? {
            Reply::One(value) => Ok(value),
            Reply::Many(_) => unreachable!("BUG: one reply was expected and many came"),
        }
    }

    /// Runs a pipeline as one contiguous write. Returns all its replies, those to MULTI and to the
    /// queueing of commands included; error replies are values among them.
    pub(crate) async fn execute_pipeline(
        &self,
        pipeline: &Pipeline,
        timeout: Duration,
    ) -> Result<Vec<Value>, Error> {
        for command in pipeline.cmd_iter() {
            self.check(command)?;
        }
        let around = if pipeline.is_transaction() { 2 } else { 0 };
        let replies = pipeline.len() + around;
        if replies == 0 {
            return Ok(Vec::new());
        }
        let pack = || (pipeline.get_packed_pipeline(), Expected::Many(replies));
        let runs_script = || runs_script(pipeline);
        match self.call(pack, timeout, runs_script).await? {
            Reply::Many(values) => Ok(values),
            Reply::One(_) => unreachable!("BUG: many replies were expected and one came"),
        }
    }

    /// Tells the health actor. Without one, between its crash and its restart, nobody needs to know.
    pub(crate) fn report(&self, news: News) {
        if let Some(health) = &*self.health.load() {
            health.do_send(Report {
                database: self.name(),
                news,
            });
        }
    }

    /// Refuses what may not run on a connection that others share, before a byte is written.
    fn check(&self, command: &Cmd) -> Result<(), Error> {
        let args = args(command);
        match command::refuse_on_shared(args.clone(), self.settings.allow_admin) {
            None => Ok(()),
            Some(refusal) => {
                count(&self.counters.refused);
                Err(Error::ForbiddenOnShared {
                    database: self.name(),
                    command: command::display_name(args).into(),
                    refusal,
                })
            }
        }
    }

    /// It is packed once it is admitted, so that what an open circuit refuses is not. Whether it runs a
    /// script is asked only about errors, which can come from the middle of one.
    ///
    /// Cancelling it is safe at any point: a request that is not written yet is skipped, and the
    /// reply of one that is written is consumed by its connection.
    async fn call(
        &self,
        pack: impl FnOnce() -> (Vec<u8>, Expected),
        timeout: Duration,
        runs_script: impl Fn() -> bool,
    ) -> Result<Reply, Error> {
        let admitted = self.gate.enter().map_err(|passage| self.refused(passage))?;
        let answer = self.send(pack(), timeout)?;
        let answer = answer
            .await
            .unwrap_or_else(|_| unreachable!("BUG: a request was dropped without an answer"));
        self.settle(answer, &admitted, timeout, runs_script)
    }

    fn send(
        &self,
        (bytes, expected): (Vec<u8>, Expected),
        timeout: Duration,
    ) -> Result<AsyncReceiver<Answer>, Error> {
        let slot = self
            .load
            .enter(bytes.len())
            .map_err(|full| self.overloaded(full.into()))?;
        let (responder, answer) = Responder::new(slot);
        let request = Request {
            bytes,
            expected,
            deadline: Instant::now() + timeout.min(MAX_WAIT),
            responder,
        };
        let refused = match &*self.route.load() {
            Some(mailbox) => mailbox.send(request).err().map(|error| error.0),
            None => Some(request),
        };
        if let Some(request) = refused {
            self.park(request);
        }
        Ok(answer)
    }

    /// No connection is ready. A pool that is gone drops the request, which answers it.
    fn park(&self, request: Request) {
        if let Some(pool) = &*self.pool.load() {
            pool.park.do_send(Park(request));
        }
    }

    /// What the answer is evidence of.
    fn end<'a>(
        &self,
        answer: &'a Answer,
        timeout: Duration,
        runs_script: impl Fn() -> bool,
    ) -> End<'a> {
        match answer {
            Ok(reply) if !reply.has_error() => End::Reply,
            // The author of a script chooses the codes of its errors, so they say nothing.
            Ok(_) if runs_script() => End::Local,
            Ok(Reply::One(value)) => end_of_value(value),
            // One command that the server fails because it fails everybody is enough, wherever it
            // stands: MULTI and EXEC have replies of their own.
            Ok(Reply::Many(values)) => {
                let mut ends = values.iter().map(end_of_value);
                let failing = ends.find(|end| matches!(verdict(*end), Verdict::Failing(_)));
                failing.unwrap_or(End::Reply)
            }
            // A caller in more of a hurry than the server promises to be shall not speak for all.
            Err(Failure::TimedOut(_)) if timeout < self.settings.attempt_timeout => End::Local,
            Err(Failure::TimedOut(stage)) => End::TimedOut(*stage),
            Err(Failure::Lost(..)) => End::ConnectionLost,
            Err(Failure::TooManyParked | Failure::ShuttingDown(_) | Failure::Abandoned(_)) => {
                End::Local
            }
        }
    }

    /// Judges the answer once, for everybody who needs to know.
    fn settle(
        &self,
        answer: Answer,
        admitted: &Admitted,
        timeout: Duration,
        runs_script: impl Fn() -> bool,
    ) -> Result<Reply, Error> {
        match verdict(self.end(&answer, timeout, &runs_script)) {
            Verdict::Healthy => {
                self.gate.note_success();
                if admitted.is_trial() {
                    let epoch = admitted.epoch;
                    self.report(News::TrialSucceeded { epoch });
                }
            }
            Verdict::Failing(reason) => {
                let epoch = admitted.epoch;
                self.report(News::CommandFailed { epoch, reason });
            }
            Verdict::Silent => {}
        }
        match answer {
            Ok(Reply::One(Value::ServerError(error))) => Err(Error::Server {
                database: self.name(),
                execution: execution_of_error(error.code(), runs_script()),
                code: error.code().into(),
                error: error.into(),
            }),
            Ok(reply) => Ok(reply),
            Err(failure) => Err(self.explain(failure, timeout)),
        }
    }
}

pub(crate) fn args(command: &Cmd) -> impl Iterator<Item = &[u8]> + Clone {
    command.args_iter().map(|arg| match arg {
        Arg::Simple(bytes) => bytes,
        // The number of a scan's cursor, which is never a name.
        _ => b"0",
    })
}

fn end_of_value(value: &Value) -> End<'_> {
    match value {
        Value::ServerError(error) => End::ErrorReply(error.code()),
        _ => End::Reply,
    }
}
