//! The connections that all callers share.

use std::{sync::Arc, time::Duration};

use actix::{AsyncContext, Context, Handler, SpawnHandle};
use tokio::{sync::mpsc, time::Instant};

use super::{Held, PoolActor, leasing::is_gone};
use crate::{
    dispatch::{Route, Routes},
    events::Reason,
    messages::{News, Park, Redial as RedialOrder, Retire, Saturated},
    net::{Activity, Ended, Failure, Mailbox, Request, Seen},
    policy::{
        admission::Passage,
        pool::{Eviction, Lane},
        redial::Redial,
    },
    stats::count,
};

/// A connection that lived for less than this is not replaced at once, so that a server which
/// accepts and drops connections is not dialled in a tight loop.
pub(super) const STABLE_AFTER: Duration = Duration::from_secs(1);

/// Callers who meet the wrong server have its connection replaced at most this often: while a name
/// leads to a replica, each of their writes would open another.
const RETIRE_EVERY: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(super) struct SharedLane {
    routes: Vec<Arc<Route>>,
    /// Those that are taken out of service as soon as there is another.
    expiring: Vec<u64>,
    /// There was no room for a dial, which is made when there is.
    lacks_room: bool,
    /// A dial that is due after a pause.
    pausing: Option<SpawnHandle>,
    redial: Redial,
    /// When callers last had the connections replaced.
    last_retired: Option<Instant>,
}

impl SharedLane {
    pub(super) fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    pub(super) fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }
}

impl PoolActor {
    /// Starts to open a connection, unless there are enough or one is being opened already: one dial
    /// at a time, however many wait for it.
    pub(super) fn dial_shared(&mut self, ctx: &mut Context<Self>) {
        self.cancel_pause(ctx);
        self.shared.lacks_room = false;
        if self.lacks_minimum() {
            self.dial_another(ctx);
        }
    }

    pub(super) fn dial_another(&mut self, ctx: &mut Context<Self>) {
        if self.is_dialling(Lane::Shared) || self.is_forced() {
            return;
        }
        // Whatever ends next makes the room, and then there is another try.
        self.shared.lacks_room = false;
        match self.ledger.request_shared() {
            Ok(permit) => self.dial(permit, ctx),
            Err(Some(idle)) => {
                self.shared.lacks_room = true;
                self.count_eviction(idle, Eviction::Displaced);
                self.close_leased(idle);
            }
            Err(None) => {
                // One that is only better to have is asked for again if it still is.
                self.shared.lacks_room = self.lacks_minimum() || !self.shared.expiring.is_empty();
                // The room may be taken by what a crashed pool has left, which ends without a route.
                if self.shared.is_empty() {
                    self.publish_routes();
                }
                // Or by one that was to be replaced, and has to make way for its successor.
                if let Some(id) = self.shared.expiring.pop() {
                    self.retire_expired(id);
                }
                self.look_again_for_orphans(ctx);
            }
        }
    }

    fn lacks_minimum(&self) -> bool {
        self.shared.routes.len() < self.dispatcher.settings.shared_min
    }

    /// After one that failed while others work, which the health actor is not told.
    pub(super) fn dial_shared_later(&mut self, reason: Reason, ctx: &mut Context<Self>) {
        let pause = self.shared.redial.pause(reason, fastrand::f64());
        self.dial_after(pause, ctx);
    }

    fn dial_after(&mut self, pause: Duration, ctx: &mut Context<Self>) {
        self.cancel_pause(ctx);
        let dial = |pool: &mut Self, ctx: &mut Context<Self>| {
            pool.dial_shared(ctx);
            // The health actor may have found that the server is back.
            pool.lend(ctx);
        };
        self.shared.pausing = Some(ctx.run_later(pause, dial));
    }

    fn cancel_pause(&mut self, ctx: &mut Context<Self>) {
        if let Some(pausing) = self.shared.pausing.take() {
            ctx.cancel_future(pausing);
        }
    }

    /// Where a connection that all share says that it has too much to do, if another could help.
    pub(super) fn listen_to_shared(&self, ctx: &mut Context<Self>) -> Option<mpsc::Sender<()>> {
        let settings = &self.dispatcher.settings;
        if settings.shared_max == settings.shared_min {
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

    /// Hands a new connection to everybody who waits for one.
    pub(super) fn publish(
        &mut self,
        id: u64,
        mailbox: Mailbox,
        activity: Arc<Activity>,
        seen: Seen,
        ctx: &mut Context<Self>,
    ) {
        self.dispatcher.dial_error.store(None);
        self.parking.send_all(&mailbox);
        let route = Route {
            id,
            mailbox,
            activity,
        };
        self.shared.routes.push(Arc::new(route));
        for id in std::mem::take(&mut self.shared.expiring) {
            self.retire_expired(id);
        }
        self.publish_routes();
        self.dispatcher.report(News::Connected(seen));
        self.dial_shared(ctx);
    }

    fn publish_routes(&self) {
        self.dispatcher
            .routes
            .store(Routes::of(&self.shared.routes));
    }

    /// Takes a connection out of service. It ends when all it was given is answered.
    pub(super) fn retire(&mut self, id: u64) {
        if self.is_published(id) {
            self.shared.routes.retain(|it| it.id != id);
            self.ledger.close(id);
            self.publish_routes();
        }
    }

    fn retire_expired(&mut self, id: u64) {
        if self.is_published(id) {
            self.count_eviction(id, Eviction::Lifetime);
            self.retire(id);
        }
    }

    /// Takes all connections out of service: what is true of one of them is true of all.
    pub(super) fn retire_all(&mut self) {
        for route in std::mem::take(&mut self.shared.routes) {
            self.ledger.close(route.id);
            count(&self.dispatcher.counters.discarded);
        }
        self.publish_routes();
        for id in self.ledger.distrust_leased() {
            self.close_leased(id);
            count(&self.dispatcher.counters.discarded);
        }
    }

    /// Opens a successor before it takes out of service what has become too old.
    pub(super) fn replace_expired(&mut self, id: u64, ctx: &mut Context<Self>) {
        if !self.shared.expiring.contains(&id) {
            self.shared.expiring.push(id);
        }
        self.dial_another(ctx);
    }

    /// Whether any was used within the idle timeout.
    fn is_used(&self) -> bool {
        let limit = self.dispatcher.settings.idle_timeout;
        self.shared.routes.iter().any(|route| {
            route.activity.outstanding() > 0 || route.activity.last().elapsed() < limit
        })
    }

    pub(super) fn is_published(&self, id: u64) -> bool {
        self.shared.routes.iter().any(|it| it.id == id)
    }

    fn park(&mut self, request: Request, ctx: &mut Context<Self>) {
        if self.is_forced() {
            return self.parking.refuse(request);
        }
        // A connection may have become ready while the request was on its way here. The end of another
        // may be on its way, too.
        let mut request = request;
        for route in &self.shared.routes {
            match route.mailbox.send(request) {
                Ok(()) => return,
                Err(refused) => request = refused.0,
            }
        }
        self.parking.park(request, ctx);
        self.dial_if_needed(ctx);
    }

    /// Dials for requests that wait, unless a dial is due or the health actor is to say when.
    fn dial_if_needed(&mut self, ctx: &mut Context<Self>) {
        let waits_for_health = self.dispatcher.dial_error.load().is_some();
        if !self.parking.is_empty() && self.shared.pausing.is_none() && !waits_for_health {
            self.dial_shared(ctx);
        }
    }

    pub(super) fn shared_ended(
        &mut self,
        id: u64,
        held: &Held,
        ended: Ended,
        ctx: &mut Context<Self>,
    ) {
        self.shared.expiring.retain(|it| *it != id);
        // One that had been retired before says nothing about the present, and needs no successor.
        if self.is_published(id) {
            self.retire(id);
            if ended.victims > 0 {
                self.dispatcher.report(News::ConnectionLost(ended.loss));
            }
            self.replace(held.opened, ctx);
        }
        for request in ended.unsent {
            self.park(request, ctx);
        }
        // Some may have been parked while the end of this one was on its way here.
        if let Some(route) = self.shared.routes.first() {
            self.parking.send_all(&route.mailbox);
        }
    }

    /// Opens what there was no room for, or what is missing beside others, if it is still wanted.
    pub(super) fn fill_shared(&mut self, ctx: &mut Context<Self>) {
        let is_wanted = self.shared.lacks_room || self.is_used() || !self.parking.is_empty();
        let waits = self.shared.pausing.is_some() || self.dispatcher.dial_error.load().is_some();
        if self.draining.is_some() || waits || !is_wanted {
            return;
        }
        // Who waits for a lease comes before a connection that is only better to have.
        let has_place = self.shared.lacks_room && self.ledger.waiting() == 0;
        match has_place || !self.shared.expiring.is_empty() {
            true => self.dial_another(ctx),
            false => self.dial_shared(ctx),
        }
    }

    /// Opens a connection in the place of one that broke.
    fn replace(&mut self, opened: Instant, ctx: &mut Context<Self>) {
        if self.draining.is_some() {
            return;
        }
        if opened.elapsed() >= STABLE_AFTER {
            self.shared.redial.reset();
            return self.dial_shared(ctx);
        }
        let pause = self
            .shared
            .redial
            .pause(Reason::ConnectionLost, fastrand::f64());
        self.dial_after(pause, ctx);
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
            return self.retire_all();
        };
        let is_early = self
            .shared
            .last_retired
            .is_some_and(|last| last.elapsed() < RETIRE_EVERY);
        if self.is_published(id) && !is_early {
            self.shared.last_retired = Some(Instant::now());
            self.retire_all();
        }
    }
}

impl Handler<Saturated> for PoolActor {
    type Result = ();

    fn handle(&mut self, _: Saturated, ctx: &mut Self::Context) {
        self.ledger.forget_gone(is_gone);
        let grows = self.ledger.grows(Instant::now().into_std());
        // A server that is full is not asked for what is only better to have.
        if grows && self.shared.pausing.is_none() && self.draining.is_none() {
            self.dial_another(ctx);
        }
    }
}
