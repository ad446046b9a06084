//! The way of requests to the shared connections: the routes, and the requests that find none.
//!
//! A caller that finds a route takes no lock. Any other caller takes the lock of the [`Lot`], and looks again.
//! The pool publishes routes under the same lock, after the requests that wait; a connection that ends gives
//! back its unsent requests under it. So the request that was made first is written first.

mod lot;

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use arc_swap::{ArcSwapOption, Guard};
use tokio::time::Instant;

use self::lot::{Effects, Lot};
use super::{Counters, Keeper, Kept, Route, Routes, clock, count};
use crate::{
    messages::{Parked, PoolLink},
    net::{Executor, Failure, Request, UnsentSink},
};

/// The parking of one database. It outlasts crashes of the pool: the requests wait for the next one.
#[derive(Debug)]
pub(crate) struct Parking {
    /// `None` while no connection is ready, or while earlier requests are on their way to it.
    routes: ArcSwapOption<Routes>,
    lot: Mutex<Lot>,
    keeper: Keeper,
    counters: Arc<Counters>,
    pool: Arc<ArcSwapOption<PoolLink>>,
}

/// What follows a change.
#[must_use = "callers wait for it"]
pub(super) struct Follows {
    wake_at: Option<Instant>,
    effects: Effects,
    tells_pool: bool,
}

impl Parking {
    /// At most `max` requests wait.
    pub(super) fn new(
        max: usize,
        executor: Arc<Executor>,
        counters: Arc<Counters>,
        pool: Arc<ArcSwapOption<PoolLink>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            routes: ArcSwapOption::empty(),
            lot: Mutex::new(Lot::new(max)),
            keeper: Keeper::new(executor),
            counters,
            pool,
        })
    }

    /// Changes the number of requests that may wait.
    pub(super) fn resize(&self, max: usize) {
        self.lock().resize(max);
    }

    /// The shared connections that a request may be sent on without waiting.
    #[inline]
    pub(crate) fn routes(&self) -> Guard<Option<Arc<Routes>>> {
        self.routes.load()
    }

    /// Whether the pool has shared connections.
    pub(crate) fn has_routes(&self) -> bool {
        self.lock().has_routes()
    }

    /// The number of requests that wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Takes a request that found no route. It is sent as soon as there is one, behind all earlier ones.
    pub(crate) fn park(self: &Arc<Self>, request: Request) {
        self.change(|lot| lot.enter(request));
    }

    /// Takes a request to be sent after a pause, unless the circuit is open by then.
    pub(crate) fn park_after(self: &Arc<Self>, request: Request, pause: Duration) {
        let time = clock::now() + pause;
        self.change(|lot| lot.set_aside_until(request, time));
    }

    /// Takes a request to be sent when it is [released](Self::release) by the ticket that this returns.
    pub(crate) fn set_aside(self: &Arc<Self>, request: Request) -> u64 {
        self.change(|lot| lot.set_aside(request))
    }

    /// Takes a request to be sent when it is [released](Self::release_held), behind those that have this ticket. Returns the
    /// ticket, and what is to [follow](Self::follow) once the caller has given its locks back.
    pub(super) fn hold(self: &Arc<Self>, ticket: Option<u64>, request: Request) -> (u64, Follows) {
        self.alter(|lot| lot.hold_back(ticket, request))
    }

    /// Sends the requests that have this ticket. Returns what is to follow.
    pub(super) fn release_held(self: &Arc<Self>, ticket: u64) -> Follows {
        self.alter(|lot| lot.release(Some(ticket))).1
    }

    pub(crate) fn release(self: &Arc<Self>, ticket: u64) {
        self.change(|lot| lot.release(Some(ticket)));
    }

    /// Publishes the shared connections, once no earlier request can be overtaken on them.
    pub(crate) fn publish(self: &Arc<Self>, routes: &[Arc<Route>]) {
        self.change(|lot| lot.replace_routes(Routes::of(routes), clock::now()));
    }

    /// Sends the requests that wait on a connection that is not published yet.
    pub(crate) fn send_on(self: &Arc<Self>, route: &Route) {
        self.change(|lot| lot.send_on(route));
    }

    /// A place for the unsent requests of a new connection, and its number.
    pub(crate) fn enrol(self: &Arc<Self>) -> (u64, impl UnsentSink + use<>) {
        let number = self.lock().number();
        let parking = self.clone();
        (number, Return { number, parking })
    }

    /// A pool begins.
    pub(crate) fn open(self: &Arc<Self>) {
        self.change(Lot::open);
    }

    /// The pool finishes what is under way: only requests that connections give back are taken.
    pub(crate) fn drain(self: &Arc<Self>) {
        self.change(Lot::drain);
    }

    /// Answers all requests with this failure, and all later ones.
    pub(crate) fn close(self: &Arc<Self>, failure: Failure) {
        self.change(|lot| lot.close(failure));
    }

    /// From now on, callers that do not wait for recovery are refused, or they wait for a connection.
    pub(crate) fn refuse_impatient(self: &Arc<Self>, refuses: bool) {
        self.change(|lot| lot.refuse_impatient(refuses));
    }

    /// Drops requests whose callers have gone.
    pub(crate) fn forget_gone(self: &Arc<Self>) {
        self.change(Lot::forget_gone);
    }

    /// When the next deadline passes, or earlier.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.lock().wake_at()
    }

    /// Changes the lot, and does what follows. Only the routes are published under the lock, so that no
    /// request finds them before the earlier ones are sent.
    fn change<T>(self: &Arc<Self>, act: impl FnOnce(&mut Lot) -> T) -> T {
        let (result, follows) = self.alter(act);
        self.follow(follows);
        result
    }

    fn alter<T>(self: &Arc<Self>, act: impl FnOnce(&mut Lot) -> T) -> (T, Follows) {
        let mut lot = self.lock();
        let was_empty = lot.len() == 0;
        let result = act(&mut lot);
        if let Some(routes) = lot.settle() {
            self.routes.store(routes);
        }
        let is_empty = lot.len() == 0;
        self.counters.parked.store(lot.len(), Relaxed);
        let follows = Follows {
            wake_at: lot.wake_at(),
            effects: lot.take_effects(),
            tells_pool: was_empty != is_empty,
        };
        (result, follows)
    }

    /// Does what follows a change. The code of a caller that is woken may do anything, so that no lock may be held.
    pub(super) fn follow(self: &Arc<Self>, follows: Follows) {
        if let Some(at) = follows.wake_at {
            Keeper::arm(self, at);
        }
        self.finish(follows.effects);
        if follows.tells_pool
            && let Some(pool) = &*self.pool.load()
        {
            pool.parked.do_send(Parked);
        }
    }

    fn finish(&self, effects: Effects) {
        for _ in 0..effects.forgotten {
            count(&self.counters.cancelled);
        }
        for (mut request, failure) in effects.refused {
            let counter = match failure {
                Failure::TimedOut(_) => Some(&self.counters.timed_out),
                Failure::ShuttingDown(_) => Some(&self.counters.lost),
                Failure::TooManyParked | Failure::CircuitOpened => Some(&self.counters.refused),
                // The call counts them.
                _ => None,
            };
            let is_own = request.responder.is_own();
            let has_told = request.responder.finish(Err(failure));
            match counter {
                _ if is_own => {}
                Some(counter) if has_told => count(counter),
                None if has_told => {}
                _ => count(&self.counters.cancelled),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lot> {
        // A panic elsewhere cannot have left it half-changed.
        self.lot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept for Parking {
    fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    fn expire(self: &Arc<Self>, now: Instant) {
        self.change(|lot| lot.expire(now));
    }
}

/// Takes back the unsent requests of one connection.
struct Return {
    number: u64,
    parking: Arc<Parking>,
}

impl UnsentSink for Return {
    fn hold(&self) {
        let number = self.number;
        self.parking.change(|lot| lot.hold(number, clock::now()));
    }

    fn take_back(&self, unsent: VecDeque<Request>) {
        let number = self.number;
        self.parking.change(|lot| {
            lot.take_back(unsent);
            lot.left(number);
        });
    }
}

impl Drop for Return {
    fn drop(&mut self) {
        let number = self.number;
        self.parking.change(|lot| lot.left(number));
    }
}

impl fmt::Debug for Return {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Return")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
