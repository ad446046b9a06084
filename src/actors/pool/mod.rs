//! The pool of one database: the shell of its machine. It tells the machine what has happened, and
//! carries out what the machine has decided: dials, routes, leases, and the ends of connections.

mod asking;
mod connections;
mod dialling;
mod draining;
mod handoff;
mod leak_watch;
mod lending;
mod parking;
mod relogin;
mod steering;

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use actix::{Actor, AsyncContext, Context, SpawnHandle};
use tokio::time::Instant;

use self::{
    connections::Held,
    dialling::Dialling,
    draining::Finished,
    handoff::{Handoff, HandoffEvent},
    leak_watch::LeakWatch,
    relogin::Relogin,
};
use super::exit_guard::ExitGuard;
use crate::{
    config::DatabaseSettings,
    execution::Execution,
    messages::{Evidence, Waiting},
    net::Failure,
    policy::pool::{self, Limits, Pool},
    registry::{Registry, STOP_PATIENCE},
    state::{DatabaseState, Kept as _, Permit, Permits},
};

type Event = pool::Event<Waiting, Evidence>;
type Action = pool::Action<Waiting, Arc<Permit>, Evidence>;

pub(super) struct PoolActor {
    state: Arc<DatabaseState>,
    registry: Arc<Registry>,
    guard: ExitGuard,
    /// All decisions.
    pool: Pool<Waiting, Arc<Permits>, Evidence>,
    /// Every connection whose task has not ended.
    connections: HashMap<u64, Held>,
    dials: HashMap<u64, Dialling>,
    leak_watch: LeakWatch,
    /// Those that the machine has the limits of.
    settings: Arc<DatabaseSettings>,
    finished: Finished,
    relogin: Relogin,
    /// What follows from announced maintenance.
    handoff: Handoff,
    /// The one timer, for whatever is due first.
    alarm: Option<(Instant, SpawnHandle)>,
}

impl PoolActor {
    pub(super) fn new(
        state: Arc<DatabaseState>,
        registry: Arc<Registry>,
        guard: ExitGuard,
    ) -> Self {
        let is_unreachable = state.dial_error.load().is_some();
        let places = state.permits.clone();
        // A predecessor may have left it.
        state.lease_error.store(None);
        let settings = state.settings.share();
        Self {
            pool: Pool::new(limits(&settings), places, is_unreachable),
            settings,
            state,
            registry,
            guard,
            connections: HashMap::new(),
            dials: HashMap::new(),
            leak_watch: LeakWatch::default(),
            finished: Finished::default(),
            relogin: Relogin::default(),
            handoff: Handoff::default(),
            alarm: None,
        }
    }

    /// Tells the machine what has happened, and does what follows.
    fn turn(&mut self, event: Event, ctx: &mut Context<Self>) {
        let now = Instant::now();
        self.tell_usage(now);
        self.tell(Event::Parked(self.state.parking.len()), now);
        if self.pool.is_draining() {
            self.tell(Event::Leases(self.leases()), now);
        }
        self.tell(event, now);
        while let Some(action) = self.pool.poll(now.into_std()) {
            self.carry_out(action, now, ctx);
        }
        self.publish_waiting();
        self.arm(now, ctx);
    }

    fn tell(&mut self, event: Event, now: Instant) {
        self.pool.on(event, now.into_std(), fastrand::f64());
    }

    fn carry_out(&mut self, action: Action, now: Instant, ctx: &mut Context<Self>) {
        match action {
            Action::Dial { id, place } => {
                if let Err(failed) = self.dial(id, place, ctx) {
                    self.tell(failed, now);
                }
            }
            Action::CancelDial(id) => self.cancel_dial(id),
            Action::HandOver { id, waiter } => {
                if let Err(returned) = self.hand_over(id, waiter, now, ctx) {
                    self.tell(returned, now);
                }
            }
            Action::Reject { waiter, why } => self.reject(waiter, why),
            Action::Close { id, why } => self.close(id, why),
            Action::Cut { id, why } => self.cut(id, why),
            Action::Verify(ids) => {
                let verified = self.verify(&ids, ctx);
                self.tell(verified, now);
                self.tell(Event::Parked(self.state.parking.len()), now);
            }
            Action::Unblock(ids) => {
                self.unblock(&ids);
                self.tell(Event::Parked(self.state.parking.len()), now);
            }
            Action::Publish => self.publish_routes(),
            Action::SendParked(id) => {
                self.send_parked(id);
                self.tell(Event::Parked(self.state.parking.len()), now);
            }
            Action::RefuseParked => {
                let failure = Failure::ShuttingDown(Execution::NotSent);
                self.state.parking.close(failure);
            }
            Action::Report(evidence) => self.report(evidence),
            Action::StopAll => self.stop_all(),
            Action::Finish => self.finish(ctx),
        }
    }

    /// The health actor is told, and callers that get no connection can be told why.
    fn report(&mut self, evidence: Evidence) {
        match &evidence {
            Evidence::Connected(_) => {
                if self.state.is_moving.swap(false, Relaxed) {
                    // Until now it was read elsewhere.
                    self.state.seen.forget_all();
                }
                self.state.dial_error.store(None);
                self.state.survey.forget();
                self.state.refuses_introductions.store(false, Relaxed);
            }
            Evidence::DialFailed(error) => {
                let text = self.state.explain_dial(error);
                self.state.dial_error.store(Some(Arc::new(text)));
            }
            _ => {}
        }
        self.state.report(evidence);
    }

    fn publish_waiting(&self) {
        let waiting = &self.state.counters.waiting;
        waiting.store(self.pool.waiting(), Relaxed);
    }

    /// An alarm that rings too early does no harm, and is cheaper than one for each waiter.
    fn arm(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let of_the_pool = self.pool.wake_at().map(Instant::from_std);
        let others = [
            self.state.parking.wake_at(),
            self.leak_watch.wake_at(),
            self.relogin_at(),
            self.handoff.wake_at().map(Instant::from_std),
        ];
        let due = others.into_iter().flatten().chain(of_the_pool).min();
        let Some(due) = due else { return };
        if let Some((armed, handle)) = self.alarm {
            if armed <= due {
                return;
            }
            ctx.cancel_future(handle);
        }
        let pause = due.saturating_duration_since(now);
        self.alarm = Some((due, ctx.run_later(pause, Self::ring)));
    }

    fn ring(&mut self, ctx: &mut Context<Self>) {
        self.alarm = None;
        let now = Instant::now();
        // Kept here as well: the application may block the thread of either.
        self.state.parking.expire(now);
        self.warn_of_overdue(now);
        self.fetch_login_if_due(now, ctx);
        self.tell_handoff(HandoffEvent::Woken, ctx);
        self.turn(Event::Woken, ctx);
    }
}

fn limits(settings: &DatabaseSettings) -> Limits {
    Limits {
        min_idle: settings.min_idle,
        min_shared: settings.shared_min,
        max_shared: settings.shared_max,
        max_waiting: settings.max_parked,
        idle_timeout: settings.idle_timeout,
        max_lifetime: settings.max_lifetime,
        sweep_interval: settings.sweep_interval,
        stop_patience: STOP_PATIENCE,
    }
}

impl Actor for PoolActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.turn(Event::Started, ctx);
    }
}
