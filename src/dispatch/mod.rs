//! What all handles of one database share, and the way of a command: admission, route, reply, and
//! another attempt where that is safe.

mod explain;
mod persist;
mod pipeline;
mod work;

pub(crate) use explain::{conversion, nested};
pub(crate) use pipeline::PipelineRun;
pub(crate) use work::args;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use actix::Recipient;
use arc_swap::ArcSwapOption;
use oneshot::{AsyncReceiver, RecvError};
use redis::{Cmd, Pipeline, Value};
use tokio::time::Instant;

use self::{
    persist::Tried,
    work::{Work, extra_replies},
};
use crate::{
    config::DatabaseSettings,
    error::Error,
    events::Reason,
    messages::{Execute, News, Park, Redial, Report, Retire, Sweep},
    net::{Answer, Full, Load, Mailbox, Reply, Request, Responder},
    policy::{
        admission::{Admitted, Gate},
        command::{self, Place, Refusal},
        retry::{Budget, Idempotence},
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
    pub(crate) route: ArcSwapOption<Route>,
    pub(crate) pool: ArcSwapOption<PoolLink>,
    pub(crate) health: ArcSwapOption<Recipient<Report>>,
    /// Why the circuit is open and when that may end.
    pub(crate) outage: ArcSwapOption<Outage>,
    /// Why the last attempt to connect failed, while none has succeeded since.
    pub(crate) dial_error: ArcSwapOption<Arc<str>>,
    /// Whether somebody has isolated the database by hand, which outlasts crashes of all actors.
    pub(crate) is_isolated: AtomicBool,
    /// What is left for retries; only calls that fail ask.
    budget: Mutex<Budget>,
}

/// Where commands go.
#[derive(Debug)]
pub(crate) struct Route {
    /// Of the connection, counted by its pool.
    pub(crate) id: u64,
    pub(crate) mailbox: Mailbox,
}

/// How a caller wants commands to be run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// From the call to its end, however many attempts it takes.
    pub(crate) timeout: Duration,
    pub(crate) idempotence: Idempotence,
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

/// How an attempt was made.
struct Attempt {
    admitted: Admitted,
    deadline: Instant,
    /// The connection it was handed to; `None` if it was parked.
    route: Option<u64>,
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
            is_isolated: AtomicBool::new(false),
            budget: Mutex::new(Budget::new(Instant::now().into_std())),
            settings,
        })
    }

    /// Those of a caller who has asked for nothing else.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            timeout: self.settings.command_timeout,
            idempotence: Idempotence::ByCommand,
        }
    }

    pub(crate) fn name(&self) -> Arc<str> {
        self.settings.name.clone()
    }

    /// Runs one command. An error reply of the server is an error.
    pub(crate) async fn execute(&self, command: &Cmd, terms: Terms) -> Result<Value, Error> {
        self.check(command)?;
        match self.call(command, terms).await?.0 {
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
        terms: Terms,
    ) -> Result<(Vec<Value>, Tried), Error> {
        for command in pipeline.cmd_iter() {
            self.check(command)?;
        }
        if pipeline.len() + extra_replies(pipeline) == 0 {
            return Ok((Vec::new(), Tried::at_once(terms)));
        }
        match self.call(pipeline, terms).await? {
            (Reply::Many(values), tried) => Ok((values, tried)),
            (Reply::One(_), _) => unreachable!("BUG: many replies were expected and one came"),
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
        let refusal = match command::place(args.clone(), self.settings.allow_admin) {
            Place::Shared => return Ok(()),
            // There are no connections to lease yet.
            Place::Leased(_) => Refusal::Blocking,
            Place::Refused(refusal) => refusal,
        };
        count(&self.counters.refused);
        Err(Error::ForbiddenOnShared {
            database: self.name(),
            command: command::display_name(args).into(),
            refusal,
        })
    }

    /// It is packed once it is admitted, so that what an open circuit refuses is not.
    ///
    /// Cancelling it is safe at any point: a request that is not written yet is skipped, and the
    /// reply of one that is written is consumed by its connection.
    async fn call(&self, work: &(impl Work + Sync), terms: Terms) -> Result<(Reply, Tried), Error> {
        let admitted = self.gate.enter().map_err(|passage| self.refused(passage))?;
        let deadline = Instant::now() + terms.timeout.min(MAX_WAIT);
        let sent = self.send(work, deadline, |it| self.hand_over(it));
        let (answer, route) = sent.map_err(|full| self.overloaded(full.into()))?;
        match answer.await {
            Ok(Ok(reply)) if !reply.has_error() => {
                self.succeeded(&admitted);
                Ok((reply, Tried::at_once(terms)))
            }
            answer => {
                let attempt = Attempt {
                    admitted,
                    deadline,
                    route,
                };
                // In a box of its own, because nearly no call needs what it needs.
                Box::pin(self.persist(work, terms, attempt, given(answer))).await
            }
        }
    }

    fn send(
        &self,
        work: &impl Work,
        deadline: Instant,
        hand_over: impl FnOnce(Request) -> Option<u64>,
    ) -> Result<(AsyncReceiver<Answer>, Option<u64>), Full> {
        let (bytes, expected) = work.pack();
        let slot = self.load.enter(bytes.len())?;
        let (responder, answer) = Responder::new(slot);
        let request = Request {
            bytes,
            expected,
            deadline,
            responder,
        };
        Ok((answer, hand_over(request)))
    }

    /// To the connection that is ready, or to the pool. Tells to which connection.
    fn hand_over(&self, request: Request) -> Option<u64> {
        let route = self.route.load();
        let request = match &*route {
            Some(route) => match route.mailbox.send(request) {
                Ok(()) => return Some(route.id),
                Err(refused) => refused.0,
            },
            None => request,
        };
        self.park(request, Duration::ZERO);
        None
    }

    /// A pool that is gone drops the request, which answers it.
    fn park(&self, request: Request, after: Duration) {
        if let Some(pool) = &*self.pool.load() {
            pool.park.do_send(Park { request, after });
        }
    }

    fn succeeded(&self, admitted: &Admitted) {
        self.gate.note_success();
        if admitted.is_trial() {
            let epoch = admitted.epoch;
            self.report(News::TrialSucceeded { epoch });
        }
    }

    /// Attempts that have ended, on a connection or waiting for one.
    pub(crate) fn attempts(&self) -> u64 {
        let counters = &self.counters;
        let ended = [
            &counters.succeeded,
            &counters.error_replies,
            &counters.timed_out,
            &counters.lost,
        ];
        ended.iter().map(|it| it.load(Relaxed)).sum()
    }

    /// Calls that were let through and have ended.
    fn calls(&self) -> u64 {
        let retried = self.counters.retried.load(Relaxed);
        self.attempts().saturating_sub(retried)
    }
}

fn given(answer: Result<Answer, RecvError>) -> Answer {
    answer.unwrap_or_else(|_| unreachable!("BUG: a request was dropped without an answer"))
}
