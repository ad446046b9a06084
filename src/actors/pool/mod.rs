//! The pool of one database: opens its connections, publishes those that callers share, lends the
//! others, and closes what nobody needs.

mod dialling;
mod draining;
mod executing;
mod leak_watch;
mod leasing;
mod parking;
mod shared;
mod sweeping;

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};

use self::{
    dialling::Dialling, draining::Draining, leak_watch::LeakWatch, leasing::Leasing,
    parking::Parking, shared::SharedLane,
};
use super::guard::ExitGuard;
use crate::{
    dispatch::Dispatcher,
    messages::{ConnectionEnded, Waiting},
    net::{Connection, DialError, Ended, Established, Loss, Mailbox},
    policy::pool::{Lane, Ledger, Limits, Place as _},
    registry::Registry,
    state::permits::{Permit, Permits},
    stats::count,
};

pub(super) struct PoolActor {
    dispatcher: Arc<Dispatcher>,
    registry: Arc<Registry>,
    guard: ExitGuard,
    /// Who may have which connection.
    ledger: Ledger<Waiting, Arc<Permits>>,
    /// Every connection whose task has not ended.
    connections: HashMap<u64, Held>,
    dials: HashMap<u64, Dialling>,
    next_id: u64,
    shared: SharedLane,
    leasing: Leasing,
    leak_watch: LeakWatch,
    parking: Parking,
    draining: Option<Draining>,
}

struct Held {
    /// Ends it at once; dropped, it leaves the connection to drain.
    stop: Option<oneshot::Sender<()>>,
    /// Of one that is leased, to be lent. A connection ends when nobody holds its mailbox.
    mailbox: Option<Mailbox>,
    lane: Lane,
    opened: Instant,
}

impl PoolActor {
    pub(super) fn new(
        dispatcher: Arc<Dispatcher>,
        registry: Arc<Registry>,
        guard: ExitGuard,
    ) -> Self {
        let settings = &dispatcher.settings;
        let limits = Limits {
            min_idle: settings.min_idle,
            min_shared: settings.shared_min,
            max_shared: settings.shared_max,
            idle_timeout: settings.idle_timeout,
        };
        Self {
            ledger: Ledger::new(dispatcher.permits.clone(), limits),
            parking: Parking::new(dispatcher.clone()),
            dispatcher,
            registry,
            guard,
            connections: HashMap::new(),
            dials: HashMap::new(),
            next_id: 0,
            shared: SharedLane::default(),
            leasing: Leasing::default(),
            leak_watch: LeakWatch::default(),
            draining: None,
        }
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// A dial has succeeded.
    fn open(
        &mut self,
        id: u64,
        established: Established,
        permit: Arc<Permit>,
        ctx: &mut Context<Self>,
    ) {
        let lane = permit.lane();
        let seen = established.seen;
        let (stop, stopped) = oneshot::channel();
        let saturated = match lane {
            Lane::Shared => self.listen_to_shared(ctx),
            Lane::Leased => None,
        };
        let (mailbox, activity, connection) = Connection::new(
            established,
            &self.dispatcher.settings,
            self.dispatcher.counters.clone(),
            stopped,
            saturated,
        );
        let of_the_task = permit.clone();
        let task = async move {
            // It counts until its socket is closed, also when the pool is gone by then.
            let _permit = of_the_task;
            connection.run().await
        };
        let task = match self.registry.executor.spawn(task) {
            Ok(task) => task,
            Err(error) => {
                drop(permit);
                return self.dial_failed(lane, DialError::Spawn(Arc::new(error)), ctx);
            }
        };
        watch(id, task, ctx);
        count(&self.dispatcher.counters.opened);
        let now = Instant::now();
        let lifetime = self.dispatcher.settings.max_lifetime;
        let expires = lifetime.map(|it| now.into_std() + jittered(it, fastrand::f64()));
        self.ledger.opened(id, permit, now.into_std(), expires);
        let held = Held {
            stop: Some(stop),
            mailbox: (lane == Lane::Leased).then(|| mailbox.clone()),
            lane,
            opened: now,
        };
        self.connections.insert(id, held);
        match lane {
            Lane::Shared => self.publish(id, mailbox, activity, seen, ctx),
            Lane::Leased => self.leasing.succeeded(),
        }
    }

    /// Takes one out of service that nobody shares. It ends once all it was given is answered.
    fn close_leased(&mut self, id: u64) {
        if let Some(held) = self.connections.get_mut(&id) {
            held.mailbox = None;
        }
    }

    fn connection_ended(&mut self, id: u64, ended: Ended, ctx: &mut Context<Self>) {
        let Some(held) = self.connections.remove(&id) else {
            return;
        };
        self.ledger.ended(id);
        if matches!(*ended.loss, Loss::RuntimeEnded) && !self.is_forced() {
            self.registry.executor.leave_caller();
        }
        let was_in_service = match held.lane {
            Lane::Shared => self.is_published(id),
            Lane::Leased => held.mailbox.is_some(),
        };
        self.count_end(&ended.loss, was_in_service);
        match held.lane {
            Lane::Shared => self.shared_ended(id, &held, ended, ctx),
            Lane::Leased => self.leased_ended(&held, ended, ctx),
        }
        self.fill_shared(ctx);
        self.lend(ctx);
    }

    /// One that was out of service was counted when it was taken out.
    fn count_end(&self, loss: &Loss, was_in_service: bool) {
        let counters = &self.dispatcher.counters;
        let counter = match loss {
            Loss::Drained => return,
            Loss::Stopped => &counters.discarded,
            loss => {
                let database = self.dispatcher.name();
                tracing::debug!(%database, %loss, "connection lost");
                &counters.connections_lost
            }
        };
        if was_in_service {
            count(counter);
        }
    }
}

/// The age at which a connection is replaced: by up to a tenth earlier than the settings say, so that
/// connections which were opened together are not closed together.
fn jittered(lifetime: Duration, jitter: f64) -> Duration {
    lifetime.mul_f64(1.0 - 0.1 * jitter)
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
        self.dial_shared(ctx);
    }
}

impl Handler<ConnectionEnded> for PoolActor {
    type Result = ();

    fn handle(&mut self, message: ConnectionEnded, ctx: &mut Self::Context) {
        self.connection_ended(message.id, message.ended, ctx);
        self.advance_drain(ctx);
    }
}
