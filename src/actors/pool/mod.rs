//! The pool of one database: opens its connection, publishes it, keeps requests while there is
//! none, and closes it when nobody needs it.

mod draining;
mod parking;

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use actix::{Actor, AsyncContext, Context, Handler, ResponseFuture, SpawnHandle};
use redis::Value;
use tokio::{
    sync::oneshot,
    task::{AbortHandle, JoinHandle},
    time::Instant,
};

use self::{draining::Draining, parking::Parking};
use super::guard::ExitGuard;
use crate::{
    dispatch::{Dispatcher, Route, Terms},
    error::Error,
    events::Reason,
    messages::{
        ConnectionEnded, Dialled, Execute, News, Park, Redial as RedialOrder, Retire, Sweep,
    },
    net::{
        Activity, Connection, DialError, Ended, Established, Failure, Loss, Request, WhileLoading,
        dial,
    },
    policy::{admission::Passage, redial::Redial},
    registry::Registry,
    stats::{OpenConnection, count},
};

/// A connection that lived for less than this is not replaced at once, so that a server which
/// accepts and drops connections is not dialled in a tight loop.
const STABLE_AFTER: Duration = Duration::from_secs(1);

/// Callers who meet the wrong server have its connection replaced at most this often: while a name
/// leads to a replica, each of their writes would open another.
const RETIRE_EVERY: Duration = Duration::from_millis(100);

pub(super) struct PoolActor {
    dispatcher: Arc<Dispatcher>,
    registry: Arc<Registry>,
    guard: ExitGuard,
    /// The connection that the route leads to.
    current: Option<Current>,
    /// Every connection whose task has not ended, the current one and those that drain.
    connections: HashMap<u64, Held>,
    next_id: u64,
    dialling: Option<Dialling>,
    /// A dial that is due after a pause.
    pausing: Option<SpawnHandle>,
    redial: Redial,
    /// When callers last had the connection replaced.
    last_retired: Option<Instant>,
    parking: Parking,
    draining: Option<Draining>,
}

struct Dialling {
    task: AbortHandle,
    /// It runs on the application's runtime, which may end or lack what it needs.
    on_caller: bool,
}

struct Current {
    route: Arc<Route>,
    activity: Arc<Activity>,
}

struct Held {
    /// Ends it at once; dropped, it leaves the connection to drain.
    stop: Option<oneshot::Sender<()>>,
    opened: Instant,
    _open: OpenConnection,
}

impl PoolActor {
    pub(super) fn new(
        dispatcher: Arc<Dispatcher>,
        registry: Arc<Registry>,
        guard: ExitGuard,
    ) -> Self {
        Self {
            parking: Parking::new(dispatcher.clone()),
            dispatcher,
            registry,
            guard,
            current: None,
            connections: HashMap::new(),
            next_id: 0,
            dialling: None,
            pausing: None,
            redial: Redial::new(),
            last_retired: None,
            draining: None,
        }
    }

    /// Starts to open a connection, unless there is one or it is being opened already: one dial
    /// at a time, however many wait for it.
    fn dial(&mut self, ctx: &mut Context<Self>) {
        if let Some(pausing) = self.pausing.take() {
            ctx.cancel_future(pausing);
        }
        if self.current.is_some() || self.dialling.is_some() || self.is_forced() {
            return;
        }
        let settings = self.dispatcher.settings.clone();
        let connector = self.registry.connector.clone();
        let dial = async move { dial(&*connector, &settings, WhileLoading::Wait).await };
        let on_caller = self.registry.executor.is_on_caller();
        let task = match self.registry.executor.spawn(dial) {
            Ok(task) => task,
            Err(error) => {
                let error = DialError::Spawn(Arc::new(error));
                return self.dial_failed(error);
            }
        };
        self.dialling = Some(Dialling {
            task: task.abort_handle(),
            on_caller,
        });
        let pool = ctx.address();
        actix_rt::spawn(async move {
            let result = task.await.unwrap_or_else(|error| match error.is_panic() {
                true => Err(DialError::Panicked),
                false => Err(DialError::Cancelled),
            });
            pool.do_send(Dialled(result));
        });
    }

    fn dial_after(&mut self, pause: Duration, ctx: &mut Context<Self>) {
        if let Some(pausing) = self.pausing.take() {
            ctx.cancel_future(pausing);
        }
        self.pausing = Some(ctx.run_later(pause, Self::dial));
    }

    fn dial_failed(&mut self, error: DialError) {
        tracing::debug!(database = %self.dispatcher.name(), %error, "dial failed");
        count(&self.dispatcher.counters.dial_failures);
        let text = self.dispatcher.explain_dial(&error);
        self.dispatcher.dial_error.store(Some(Arc::new(text)));
        self.dispatcher.report(News::DialFailed(error));
    }

    /// Hands a new connection to everybody who waits for one.
    fn open(&mut self, established: Established, ctx: &mut Context<Self>) {
        let counters = self.dispatcher.counters.clone();
        let seen = established.seen;
        let (stop, stopped) = oneshot::channel();
        let (mailbox, activity, connection) = Connection::new(
            established,
            &self.dispatcher.settings,
            counters.clone(),
            stopped,
        );
        let task = match self.registry.executor.spawn(connection.run()) {
            Ok(task) => task,
            Err(error) => return self.dial_failed(DialError::Spawn(Arc::new(error))),
        };
        let id = self.next_id;
        self.next_id += 1;
        let held = Held {
            stop: Some(stop),
            opened: Instant::now(),
            _open: OpenConnection::new(&counters),
        };
        self.connections.insert(id, held);
        watch(id, task, ctx);

        self.dispatcher.dial_error.store(None);
        self.parking.send_all(&mailbox);
        let route = Arc::new(Route { id, mailbox });
        self.dispatcher.route.store(Some(route.clone()));
        self.current = Some(Current { route, activity });
        self.dispatcher.report(News::Connected(seen));
    }

    /// Takes the current connection out of service. It ends when all it was given is answered.
    fn retire_current(&mut self) {
        if self.current.take().is_some() {
            self.dispatcher.route.store(None);
        }
    }

    fn park(&mut self, request: Request, ctx: &mut Context<Self>) {
        if self.is_forced() {
            return self.parking.refuse(request);
        }
        // A connection may have become ready while the request was on its way here.
        let request = match &self.current {
            Some(current) => match current.route.mailbox.send(request) {
                Ok(()) => return,
                Err(refused) => refused.0,
            },
            None => request,
        };
        self.parking.park(request, ctx);
        self.dial_if_needed(ctx);
    }

    /// Dials for requests that wait, unless a dial is due or the health actor is to say when.
    fn dial_if_needed(&mut self, ctx: &mut Context<Self>) {
        let waits_for_health = self.dispatcher.dial_error.load().is_some();
        if !self.parking.is_empty() && self.pausing.is_none() && !waits_for_health {
            self.dial(ctx);
        }
    }

    fn connection_ended(&mut self, id: u64, ended: Ended, ctx: &mut Context<Self>) {
        let Some(held) = self.connections.remove(&id) else {
            return;
        };
        if matches!(*ended.loss, Loss::RuntimeEnded) && !self.is_forced() {
            self.registry.executor.leave_caller();
        }
        if !matches!(*ended.loss, Loss::Drained) {
            let database = self.dispatcher.name();
            tracing::debug!(%database, loss = %ended.loss, "connection lost");
            count(&self.dispatcher.counters.connections_lost);
        }
        // One that had been retired before says nothing about the present, and needs no successor.
        if self.is_current(id) {
            self.retire_current();
            if ended.victims > 0 {
                self.dispatcher.report(News::ConnectionLost(ended.loss));
            }
            self.replace(held.opened, ctx);
        }
        for request in ended.unsent {
            self.park(request, ctx);
        }
    }

    fn is_current(&self, id: u64) -> bool {
        self.current.as_ref().is_some_and(|it| it.route.id == id)
    }

    /// Opens a connection in the place of one that broke.
    fn replace(&mut self, opened: Instant, ctx: &mut Context<Self>) {
        if self.draining.is_some() {
            return;
        }
        if opened.elapsed() >= STABLE_AFTER {
            self.redial.reset();
            return self.dial(ctx);
        }
        let pause = self.redial.pause(Reason::ConnectionLost, fastrand::f64());
        self.dial_after(pause, ctx);
    }
}

/// Reports the end of a connection's task.
fn watch(id: u64, task: JoinHandle<Ended>, ctx: &mut Context<PoolActor>) {
    let pool = ctx.address();
    actix_rt::spawn(async move {
        let ended = task.await.unwrap_or_else(|error| match error.is_panic() {
            true => Ended::untold(Loss::Panicked),
            false => Ended::untold(Loss::RuntimeEnded),
        });
        pool.do_send(ConnectionEnded { id, ended });
    });
}

impl Actor for PoolActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.dial(ctx);
    }
}

impl Handler<Execute> for PoolActor {
    type Result = ResponseFuture<Result<Value, Error>>;

    fn handle(&mut self, execute: Execute, _: &mut Self::Context) -> Self::Result {
        let dispatcher = self.dispatcher.clone();
        Box::pin(async move {
            let terms = Terms {
                timeout: execute.timeout.unwrap_or(dispatcher.terms().timeout),
                idempotence: execute.idempotence,
            };
            dispatcher.execute(&execute.command, terms).await
        })
    }
}

impl Handler<Park> for PoolActor {
    type Result = ();

    fn handle(&mut self, park: Park, ctx: &mut Self::Context) {
        let Park { mut request, after } = park;
        if self.draining.is_some() {
            return self.parking.refuse(request);
        }
        if after.is_zero() {
            return self.park(request, ctx);
        }
        // Not a future of this actor, all of which are polled each time that it wakes.
        let pool = ctx.address();
        let gate = self.dispatcher.gate.clone();
        actix_rt::spawn(async move {
            tokio::time::sleep(after).await;
            if gate.passage() == Passage::Open {
                // Nobody may be left to hear it.
                request.responder.finish(Err(Failure::CircuitOpened));
                return;
            }
            let after = Duration::ZERO;
            pool.do_send(Park { request, after });
        });
    }
}

impl Handler<Dialled> for PoolActor {
    type Result = ();

    fn handle(&mut self, Dialled(result): Dialled, ctx: &mut Self::Context) {
        let was_on_caller = self.dialling.take().is_some_and(|it| it.on_caller);
        let is_needed = self.draining.is_none() || !self.parking.is_empty();
        match result {
            _ if self.is_forced() => {}
            Ok(established) => self.open(established, ctx),
            // The runtime has ended, or it has no I/O: another one may do.
            Err(DialError::Cancelled | DialError::Panicked) if was_on_caller && is_needed => {
                self.registry.executor.leave_caller();
                self.dial(ctx);
            }
            // It was aborted by the drain.
            Err(DialError::Cancelled) if !is_needed => {}
            Err(error) => self.dial_failed(error),
        }
        self.advance_drain(ctx);
    }
}

impl Handler<ConnectionEnded> for PoolActor {
    type Result = ();

    fn handle(&mut self, message: ConnectionEnded, ctx: &mut Self::Context) {
        self.connection_ended(message.id, message.ended, ctx);
        self.advance_drain(ctx);
    }
}

impl Handler<RedialOrder> for PoolActor {
    type Result = ();

    fn handle(&mut self, order: RedialOrder, ctx: &mut Self::Context) {
        self.dial_after(order.after, ctx);
    }
}

impl Handler<Retire> for PoolActor {
    type Result = ();

    fn handle(&mut self, retire: Retire, _: &mut Self::Context) {
        let Some(id) = retire.only else {
            return self.retire_current();
        };
        let is_early = self
            .last_retired
            .is_some_and(|last| last.elapsed() < RETIRE_EVERY);
        if self.is_current(id) && !is_early {
            self.last_retired = Some(Instant::now());
            self.retire_current();
        }
    }
}

impl Handler<Sweep> for PoolActor {
    type Result = ();

    fn handle(&mut self, _: Sweep, _: &mut Self::Context) {
        self.parking.forget_gone();
        let settings = &self.dispatcher.settings;
        let is_idle =
            |current: &Current| current.activity.last().elapsed() >= settings.idle_timeout;
        let may_close = settings.min_idle == 0 && self.dispatcher.load.now() == (0, 0);
        if may_close && self.current.as_ref().is_some_and(is_idle) {
            tracing::debug!(database = %self.dispatcher.name(), "idle connection closed");
            self.dispatcher.counters.evicted.fetch_add(1, Relaxed);
            self.retire_current();
        }
    }
}
