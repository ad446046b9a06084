//! What all handles of one database share, and the way of a command: admission, route, reply, and
//! another attempt where that is safe.

mod exclusive;
mod explain;
mod grant;
mod persist;
mod pipeline;
mod routes;
mod terms;
mod work;

pub(crate) use grant::{Grant, NoGrant};
pub(crate) use pipeline::PipelineRun;
pub(crate) use routes::{Route, Routes};
pub(crate) use terms::{MAX_WAIT, Terms};
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
    messages::{Acquire, Execute, News, Park, Redial, Report, Retire, Sweep},
    net::{Answer, Expected, Full, Load, Reply, Request, Responder},
    policy::{
        admission::{Admitted, Gate},
        command::{self, Block, Place, Refusal},
        retry::Budget,
    },
    state::permits::Permits,
    stats::{Counters, PoolStats},
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
    pub(crate) routes: ArcSwapOption<Routes>,
    /// How many connections there are.
    pub(crate) permits: Arc<Permits>,
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

/// What a pool can be asked. Nobody but the supervisor knows its type.
#[derive(Debug)]
pub(crate) struct PoolLink {
    pub(crate) execute: Recipient<Execute>,
    pub(crate) park: Recipient<Park>,
    pub(crate) acquire: Recipient<Acquire>,
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
            routes: ArcSwapOption::empty(),
            permits: Permits::new(settings.max_connections, settings.shared_min),
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
        Terms::new(self.settings.command_timeout)
    }

    pub(crate) fn pool_stats(&self) -> PoolStats {
        self.counters.pool(&self.permits)
    }

    pub(crate) fn name(&self) -> Arc<str> {
        self.settings.name.clone()
    }

    /// Runs one command. An error reply of the server is an error.
    pub(crate) async fn execute(&self, command: &Cmd, terms: Terms) -> Result<Value, Error> {
        let reply = match self.place(command)? {
            None => self.call(command, terms).await?.0,
            // In a box of its own, because nearly no command needs what it needs.
            Some(block) => {
                self.refuse_alone(command)?;
                Box::pin(self.call_apart(command, block, terms)).await?.0
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
        terms: Terms,
    ) -> Result<(Vec<Value>, Tried), Error> {
        let mut block = None;
        for command in pipeline.cmd_iter() {
            if let Some(next) = self.place(command)? {
                block = Some(block.map_or(next, |block: Block| block.then(next)));
            }
        }
        if pipeline.len() + extra_replies(pipeline) == 0 {
            return Ok((Vec::new(), Tried::at_once(terms)));
        }
        let called = match block {
            // In a transaction nothing blocks.
            Some(block) if !pipeline.is_transaction() => {
                pipeline
                    .cmd_iter()
                    .next()
                    .map_or(Ok(()), |it| self.refuse_alone(it))?;
                Box::pin(self.call_apart(pipeline, block, terms)).await?
            }
            _ => self.call(pipeline, terms).await?,
        };
        match called {
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

    /// Where a command runs: on a connection that others share, or for so long on one of its own. What
    /// may run on neither is refused before a byte is written.
    fn place(&self, command: &Cmd) -> Result<Option<Block>, Error> {
        let args = args(command);
        match command::place(args.clone(), self.settings.allow_admin) {
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
    async fn call(&self, work: &(impl Work + Sync), terms: Terms) -> Result<(Reply, Tried), Error> {
        let admitted = self.gate.enter().map_err(|passage| self.refused(passage))?;
        let deadline = Instant::now() + terms.timeout.min(MAX_WAIT);
        let sent = self.send(work.pack(), deadline, |it| self.hand_over(it));
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
        (bytes, expected): (Vec<u8>, Expected),
        deadline: Instant,
        hand_over: impl FnOnce(Request) -> Option<u64>,
    ) -> Result<(AsyncReceiver<Answer>, Option<u64>), Full> {
        let slot = self.load.enter(bytes.len())?;
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
        let routes = self.routes.load();
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
