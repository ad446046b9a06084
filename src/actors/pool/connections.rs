//! The connections of a pool, from the end of their dials to the ends of their tasks.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use actix::{AsyncContext, Context, Handler};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};

use super::{Event, PoolActor, handoff::HandoffEvent, relogin::SetAside};
use crate::{
    config::Address,
    log::log_line,
    messages::{ConnectionEnded, Evidence, Saturated},
    net::{
        Activity, CloseReason, Connection, ConnectionExit, DialError, Established, Link, Origin,
        PushInlet, PushSlot, UnsentSink,
    },
    policy::pool::{Closing, Cut, Eviction, Lane, Occupation, Place as _},
    state::{Permit, Route, count},
};

/// A connection whose task has not ended.
pub(super) struct Held {
    /// Ends it at once; dropped, it leaves the connection to drain.
    stop: Option<oneshot::Sender<CloseReason>>,
    /// The way to it, while it is in service. A connection ends when its mailbox is held by none.
    pub(super) route: Option<Arc<Route>>,
    pub(super) lane: Lane,
    /// It outlasts the route, for the last replies.
    pub(super) activity: Arc<Activity>,
    /// Where it leads.
    pub(super) address: Address,
    /// Since when a caller has it.
    pub(super) lent: Option<Instant>,
    /// The way for the sink of whoever has leased it.
    pub(super) pushes: PushInlet,
    /// The address of the settings that it was dialled with, which may be a service.
    pub(super) endpoint: Address,
    /// The generation of its credentials.
    pub(super) login: u64,
    /// Those that it is to have once its caller gives it back.
    pub(super) set_aside: Option<SetAside>,
}

impl PoolActor {
    /// A dial has succeeded.
    pub(super) fn open(
        &mut self,
        id: u64,
        established: Established,
        permit: Arc<Permit>,
        ctx: &mut Context<Self>,
    ) -> Event {
        let lane = permit.lane();
        let (seen, login) = (established.seen.clone(), established.login);
        let address = established.address.clone();
        if let Some(program) = &seen.program {
            self.state.program.store(Some(program.clone()));
        }
        let (stop, stopped) = oneshot::channel();
        let saturated = match lane {
            Lane::Shared => self.listen_to_shared(ctx),
            Lane::Leased => None,
        };
        let (number, unsent) = match lane {
            Lane::Shared => {
                let (number, unsent) = self.state.parking.enrol();
                let unsent: Box<dyn UnsentSink> = Box::new(unsent);
                (Some(number), Some(unsent))
            }
            Lane::Leased => (None, None),
        };
        let bulletin = established
            .announces
            .then(|| self.listen_to_announcements(id, ctx));
        let pushes = PushSlot::default();
        let inlet = pushes.inlet();
        let (mailbox, activity, connection) = Connection::new(
            established,
            &self.state.settings.load(),
            self.state.counters.clone(),
            Link {
                origin: Origin::Connection(id),
                stop: stopped,
                saturated,
                unsent,
                pushes,
                bulletin,
            },
        );
        let task = async move {
            // It counts until its socket is closed, also when the pool is gone by then.
            let _permit = permit;
            connection.run().await
        };
        let task = match self.registry.executor.spawn(task) {
            Ok(task) => task,
            Err(error) => return self.dial_failed(id, lane, DialError::Spawn(Arc::new(error))),
        };
        watch(id, task, ctx);
        count(&self.state.counters.opened);
        if lane == Lane::Leased {
            self.state.lease_error.store(None);
        }
        let route = Route {
            id,
            mailbox,
            address: address.clone(),
            activity: activity.clone(),
            number,
        };
        let held = Held {
            stop: Some(stop),
            route: Some(Arc::new(route)),
            lane,
            activity,
            address,
            lent: None,
            pushes: inlet,
            endpoint: self.state.settings.load().address.clone(),
            login: login.map_or(0, |login| login.generation),
            set_aside: None,
        };
        self.note_login(login);
        self.connections.insert(id, held);
        let evidence = Evidence::Connected(seen);
        Event::Opened { id, evidence }
    }

    /// Where a shared connection says that it has too much to do, if another could help.
    fn listen_to_shared(&self, ctx: &mut Context<Self>) -> Option<mpsc::Sender<()>> {
        if !self.state.settings.load().can_grow() {
            return None;
        }
        let (saturated, mut said) = mpsc::channel(1);
        let pool = ctx.address();
        actix_rt::spawn(async move {
            // Until the connection ends.
            while said.recv().await.is_some() {
                pool.do_send(Saturated);
            }
        });
        Some(saturated)
    }

    /// The shared connections in service.
    pub(super) fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        let serving = self.pool.serving().iter();
        serving.filter_map(|id| self.connections.get(id)?.route.as_ref())
    }

    pub(super) fn publish_routes(&self) {
        let routes: Vec<_> = self.routes().cloned().collect();
        self.state.publish_routes(&routes);
    }

    pub(super) fn tell_usage(&mut self, now: Instant) {
        let last_used = |route: &Arc<Route>| {
            // Its last request may be one that takes its time.
            let is_busy = route.activity.outstanding() > 0;
            let last = if is_busy { now } else { route.activity.last() };
            (route.id, last.into_std())
        };
        let usage: Vec<_> = self.routes().map(last_used).collect();
        for (id, last) in usage {
            self.pool.used(id, last);
        }
    }

    /// Takes a connection out of service. It ends when all its requests are answered.
    pub(super) fn close(&mut self, id: u64, why: Closing) {
        if let Some(held) = self.connections.get_mut(&id) {
            held.route = None;
        }
        match why {
            Closing::Evicted(eviction) => self.count_eviction(id, eviction),
            Closing::Discarded => count(&self.state.counters.discarded),
        }
    }

    fn count_eviction(&self, id: u64, eviction: Eviction) {
        let database = self.state.name();
        log_line!(
            self.registry.log,
            DEBUG,
            %database,
            connection = id,
            reason = ?eviction,
            "connection evicted"
        );
        self.state.counters.evicted(eviction);
    }

    /// The leases that are out, and what their callers do with them.
    pub(super) fn leases(&self) -> Vec<(u64, Occupation)> {
        let leased = self.connections.values();
        let leased = leased.filter(|held| held.lane == Lane::Leased);
        let routes = leased.filter_map(|held| held.route.as_ref());
        let occupation = |route: &Arc<Route>| match &route.activity {
            activity if activity.outstanding() == 0 => Occupation::Idle,
            activity if activity.is_blocked() => Occupation::Blocked,
            _ => Occupation::Busy,
        };
        routes.map(|route| (route.id, occupation(route))).collect()
    }

    /// Ends a connection at once.
    pub(super) fn cut(&mut self, id: u64, why: Cut) {
        let Some(held) = self.connections.get_mut(&id) else {
            return;
        };
        let was_in_service = held.route.take().is_some();
        let loss = || match why {
            Cut::Moved => CloseReason::Superseded,
            Cut::Disowned => CloseReason::Disowned,
            Cut::ShuttingDown => CloseReason::Stopped,
        };
        let stop = held.stop.take();
        self.count_end(&Arc::new(loss()), was_in_service);
        if let Some(stop) = stop {
            // An error says that it has ended already.
            let _ = stop.send(loss());
        }
    }

    /// Notes whether the server tells a connection by which name it knows it. A server or proxy that does not
    /// know the question may hang up.
    pub(super) fn note_introduction(&self, id: u64) {
        let route = self
            .connections
            .get(&id)
            .and_then(|held| held.route.as_ref());
        if route.is_some_and(|route| route.activity.was_refused_introduction()) {
            self.state.refuses_introductions.store(true, Relaxed);
        }
    }

    fn note_hanging_up(&self, route: &Route, loss: &CloseReason) {
        let is_sudden = matches!(loss, CloseReason::ClosedByServer | CloseReason::Io(_));
        if is_sudden && route.activity.awaits_introduction() {
            self.state.refuses_introductions.store(true, Relaxed);
        }
    }

    pub(super) fn stop_all(&mut self) {
        let held = self.connections.values_mut();
        for stop in held.filter_map(|held| held.stop.take()) {
            // An error says that it has ended already.
            let _ = stop.send(CloseReason::Stopped);
        }
    }

    /// Counts the end of a connection. If it was out of service, it was counted when it was taken out.
    fn count_end(&self, loss: &Arc<CloseReason>, was_in_service: bool) {
        let counters = &self.state.counters;
        let counter = match &**loss {
            CloseReason::Drained => return,
            CloseReason::Stopped => &counters.discarded,
            _ => {
                let (database, loss) = (self.state.name(), loss.clone());
                log_line!(self.registry.log, DEBUG, %database, %loss, "connection lost");
                &counters.connections_lost
            }
        };
        if was_in_service {
            count(counter);
        }
    }
}

/// Reports the end of a connection's task.
fn watch(id: u64, task: JoinHandle<ConnectionExit>, ctx: &mut Context<PoolActor>) {
    let pool = ctx.address();
    actix_rt::spawn(async move {
        let ended = task.await.unwrap_or_else(|error| {
            ConnectionExit::untold(if error.is_panic() {
                CloseReason::Panicked
            } else {
                CloseReason::RuntimeEnded
            })
        });
        pool.do_send(ConnectionEnded { id, ended });
    });
}

impl Handler<ConnectionEnded> for PoolActor {
    type Result = ();

    fn handle(&mut self, ConnectionEnded { id, ended }: ConnectionEnded, ctx: &mut Self::Context) {
        let Some(held) = self.connections.remove(&id) else {
            return;
        };
        let is_evidence = ended.is_evidence();
        let loss = ended.loss;
        if matches!(*loss, CloseReason::RuntimeEnded) && !self.pool.is_forced() {
            self.registry.leave_caller();
        }
        self.count_end(&loss, held.route.is_some());
        if let Some(route) = &held.route {
            self.note_hanging_up(route, &loss);
        }
        let is_lost = !matches!(*loss, CloseReason::Drained);
        if is_lost {
            self.doubt(&held.address);
        }
        let evidence = is_evidence.then_some(Evidence::ConnectionLost(loss));
        self.turn(
            Event::ConnectionEnded {
                id,
                is_lost,
                evidence,
            },
            ctx,
        );
        self.dial_anew_without_routes();
        // Afterwards: a handoff that begins now is about the other connections.
        self.tell_handoff(HandoffEvent::ConnectionEnded(id), ctx);
    }
}
