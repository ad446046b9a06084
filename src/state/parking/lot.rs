//! The requests that wait, and the routes that later ones may take: a value, kept under a lock.

use std::{collections::VecDeque, mem, sync::Arc, time};

use tokio::time::{Duration, Instant};

use crate::{
    execution::{Execution, Stage},
    net::{Failure, Request},
    policy::pool::{WaitQueue, Waiter},
    state::{Route, Routes},
};

/// How long later requests wait for a connection that is replaced. It has written all earlier ones by then,
/// unless it is stuck.
const REPLACEMENT_PATIENCE: Duration = Duration::from_millis(250);

/// First come, first sent. No request is sent on a route while an earlier one waits here, or while a connection
/// that is at its end has earlier ones.
#[derive(Debug)]
pub(super) struct Lot {
    max: usize,
    requests: WaitQueue<Request>,
    /// Second attempts, which are outside of the order.
    aside: Vec<Aside>,
    /// Nothing in `aside` is due earlier.
    aside_at: Option<Instant>,
    /// The routes of the pool.
    routes: Option<Arc<Routes>>,
    /// Whether callers have those routes.
    is_published: bool,
    /// The connections that may have earlier requests than those that wait.
    leaving: Vec<u64>,
    /// When to wait for them no longer.
    leave_by: Option<Instant>,
    entrance: Entrance,
    /// Requests of impatient callers are refused, because the circuit is open.
    refuses_impatient: bool,
    last_number: u64,
    effects: Effects,
}

#[derive(Debug)]
enum Entrance {
    Open,
    /// Only requests that come back, and the pool's own, are taken.
    Draining,
    Closed(Failure),
}

#[derive(Debug)]
struct Aside {
    request: Request,
    until: Until,
}

#[derive(Debug)]
enum Until {
    /// The pool has handled what was sent to it before.
    Released(u64),
    Time(Instant),
}

/// What is left to do once the lock is free: an answer wakes a caller, whose code may do anything.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) refused: Vec<(Request, Failure)>,
    /// Requests whose callers had gone.
    pub(super) forgotten: usize,
}

impl Lot {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            requests: WaitQueue::new(),
            aside: Vec::new(),
            aside_at: None,
            routes: None,
            is_published: true,
            leaving: Vec::new(),
            leave_by: None,
            entrance: Entrance::Open,
            refuses_impatient: false,
            last_number: 0,
            effects: Effects::default(),
        }
    }

    /// Changes the number of requests that may wait. Those that do wait on.
    pub(super) fn resize(&mut self, max: usize) {
        self.max = max;
    }

    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(super) fn has_routes(&self) -> bool {
        self.routes.is_some()
    }

    /// When the next deadline passes, or earlier.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let parked = self.requests.wake_at().map(Instant::from_std);
        let leaving = self.leave_by.filter(|_| !self.leaving.is_empty());
        let aside = self.aside_at.filter(|_| !self.aside.is_empty());
        [parked, leaving, aside].into_iter().flatten().min()
    }

    pub(super) fn take_effects(&mut self) -> Effects {
        mem::take(&mut self.effects)
    }

    /// Whether only callers wait from now on that wait for recovery.
    pub(super) fn refuse_impatient(&mut self, refuses: bool) {
        if refuses {
            for request in self.requests.take_if(is_impatient) {
                self.refuse(request, Failure::CircuitOpened);
            }
        }
        self.refuses_impatient = refuses;
    }

    /// A request that found no route.
    pub(super) fn enter(&mut self, request: Request) {
        let Some(request) = self.admitted(request) else {
            return;
        };
        if self.requests.len() >= self.max {
            self.effects.forgotten += self.requests.forget_gone_at_times();
        }
        if self.requests.len() >= self.max {
            self.refuse(request, Failure::TooManyParked);
        } else {
            self.requests.push(request);
        }
    }

    /// The request, unless it is refused.
    fn admitted(&mut self, request: Request) -> Option<Request> {
        let failure = match &self.entrance {
            _ if self.refuses_impatient && is_impatient(&request) => Failure::CircuitOpened,
            Entrance::Open => return Some(request),
            // The pool unblocks workers before it ends.
            Entrance::Draining if request.responder.is_own() => return Some(request),
            Entrance::Draining => Failure::ShuttingDown(Execution::NotSent),
            Entrance::Closed(failure) => failure.clone(),
        };
        self.refuse(request, failure);
        None
    }

    /// Keeps a request apart until it is released by this ticket.
    pub(super) fn set_aside(&mut self, request: Request) -> u64 {
        let ticket = self.number();
        self.keep_aside(request, Until::Released(ticket));
        ticket
    }

    /// The same for a request that was not sent before, behind those that have this ticket. It is refused if it would not be
    /// taken now.
    pub(super) fn hold_back(&mut self, ticket: Option<u64>, request: Request) -> u64 {
        let ticket = ticket.unwrap_or_else(|| self.number());
        if let Some(request) = self.admitted(request) {
            self.keep_aside(request, Until::Released(ticket));
        }
        ticket
    }

    /// Keeps a request apart until this time.
    pub(super) fn set_aside_until(&mut self, request: Request, time: Instant) {
        self.keep_aside(request, Until::Time(time));
    }

    fn keep_aside(&mut self, request: Request, until: Until) {
        let due = match until {
            Until::Released(_) => request.deadline,
            Until::Time(time) => request.deadline.min(time),
        };
        self.aside_at = Some(self.aside_at.map_or(due, |first| first.min(due)));
        self.aside.push(Aside { request, until });
    }

    /// Lets a request in that was set aside; without a ticket all those that have one.
    pub(super) fn release(&mut self, ticket: Option<u64>) {
        let is_meant = |aside: &mut Aside| match aside.until {
            Until::Released(own) => ticket.is_none_or(|ticket| ticket == own),
            Until::Time(_) => false,
        };
        let released: Vec<_> = self.aside.extract_if(.., is_meant).collect();
        for Aside { request, .. } in released {
            self.enter(request);
            // One by one, so that they need no room to wait in where there is a route.
            self.send();
        }
    }

    /// Does what is due.
    pub(super) fn expire(&mut self, now: Instant) {
        for request in self.requests.expire(now.into_std()) {
            self.refuse(request, Failure::TimedOut(Stage::Connect));
        }
        if self.leave_by.is_some_and(|leave_by| leave_by <= now) {
            self.leaving.clear();
            self.leave_by = None;
        }
        if self.aside_at.is_some_and(|first| first <= now) {
            self.expire_aside(now);
        }
    }

    fn expire_aside(&mut self, now: Instant) {
        self.aside_at = None;
        for Aside { request, until } in mem::take(&mut self.aside) {
            match until {
                _ if request.deadline <= now => {
                    self.refuse(request, Failure::TimedOut(Stage::Connect));
                }
                Until::Time(time) if time <= now => self.enter(request),
                until => self.keep_aside(request, until),
            }
        }
    }

    pub(super) fn forget_gone(&mut self) {
        self.effects.forgotten += self.requests.forget_gone();
    }

    /// The number of a connection that will give back its unsent requests.
    pub(super) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// A connection is about to give back requests.
    pub(super) fn hold(&mut self, connection: u64, now: Instant) {
        if !self.leaving.contains(&connection) {
            self.leaving.push(connection);
            self.leave_by = Some(now + REPLACEMENT_PATIENCE);
        }
    }

    /// Takes requests that are earlier than all others.
    pub(super) fn take_back(&mut self, unsent: VecDeque<Request>) {
        if let Entrance::Closed(failure) = &self.entrance {
            let failure = failure.clone();
            for request in unsent {
                self.refuse(request, failure.clone());
            }
            return;
        }
        for request in unsent.into_iter().rev() {
            if self.refuses_impatient && is_impatient(&request) {
                self.refuse(request, Failure::CircuitOpened);
            } else {
                self.requests.push_first(request);
            }
        }
        if self.requests.len() > self.max {
            self.forget_gone();
        }
        while self.requests.len() > self.max
            && let Some(request) = self.requests.pop_last()
        {
            self.refuse(request, Failure::TooManyParked);
        }
    }

    /// A connection has given back its requests, or has had none.
    pub(super) fn left(&mut self, connection: u64) {
        self.leaving.retain(|leaving| *leaving != connection);
    }

    /// Takes the routes of the pool. If none of the previous ones is among them, later requests wait until the
    /// previous connections have written theirs, or have ended, so that none overtakes a request on them.
    pub(super) fn replace_routes(&mut self, routes: Option<Arc<Routes>>, now: Instant) {
        let previous = mem::replace(&mut self.routes, routes);
        self.is_published = false;
        let numbers = |routes: &Option<Arc<Routes>>| -> Vec<u64> {
            let routes = routes.iter().flat_map(|routes| routes.iter());
            let open = routes.filter(|route| !route.mailbox.is_closed());
            open.filter_map(|route| route.number).collect()
        };
        let (before, after) = (numbers(&previous), numbers(&self.routes));
        if !before.iter().any(|number| after.contains(number)) {
            for number in before {
                self.hold(number, now);
            }
        }
    }

    /// Sends as many requests as can be sent. Returns the routes that callers may use from now on, if that
    /// has changed.
    pub(super) fn settle(&mut self) -> Option<Option<Arc<Routes>>> {
        if !self.leaving.is_empty() {
            // The previous connections get no more requests when no route leads to them.
            return (!self.is_published).then_some(None);
        }
        self.send();
        let is_new = !mem::replace(&mut self.is_published, true);
        is_new.then(|| self.routes.clone())
    }

    /// Sends as many requests as can be sent.
    fn send(&mut self) {
        if let (Some(routes), true) = (&self.routes, self.leaving.is_empty()) {
            while let Some(request) = self.requests.pop() {
                if let Err(request) = routes.send(request) {
                    self.requests.push_first(request);
                    break;
                }
            }
        }
    }

    /// Sends as many requests as can be sent on a connection, to which no route leads yet.
    pub(super) fn send_on(&mut self, route: &Route) {
        while self.leaving.is_empty()
            && let Some(request) = self.requests.pop()
        {
            if let Err(refused) = route.mailbox.send(request) {
                self.requests.push_first(refused.0);
                break;
            }
        }
    }

    /// Takes requests again, also those that were set aside for a pool that has crashed.
    pub(super) fn open(&mut self) {
        self.entrance = Entrance::Open;
        self.release(None);
    }

    pub(super) fn drain(&mut self) {
        if let Entrance::Open = self.entrance {
            // They were made before.
            self.release(None);
            self.entrance = Entrance::Draining;
        }
    }

    /// Answers all requests with this failure, and all later ones.
    pub(super) fn close(&mut self, failure: Failure) {
        let waiting = self.requests.dismiss().into_iter();
        let aside = mem::take(&mut self.aside).into_iter();
        for request in waiting.chain(aside.map(|aside| aside.request)) {
            self.refuse(request, failure.clone());
        }
        self.entrance = Entrance::Closed(failure);
        self.leaving.clear();
        self.routes = None;
        self.is_published = false;
    }

    fn refuse(&mut self, request: Request, failure: Failure) {
        self.effects.refused.push((request, failure));
    }
}

/// Whether nobody waits for recovery with it. The pool asks for workers also while the circuit is open.
fn is_impatient(request: &Request) -> bool {
    !request.responder.is_patient() && !request.responder.is_own()
}

impl Waiter for Request {
    fn deadline(&self) -> time::Instant {
        self.deadline.into_std()
    }

    fn is_gone(&self) -> bool {
        self.responder.is_gone()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;
    use crate::{
        config::Address,
        net::{Activity, Expected, Responder},
    };

    fn request(responder: Responder) -> Request {
        let deadline = Instant::now() + Duration::from_secs(9);
        Request::new(Vec::new(), Expected::One, deadline, responder)
    }

    /// The routes to one connection, and its end of the mailbox.
    fn routes(number: u64) -> (Option<Arc<Routes>>, UnboundedReceiver<Request>) {
        let (mailbox, requests) = unbounded_channel();
        let route = Route {
            id: number,
            mailbox,
            address: Address::default(),
            activity: Arc::new(Activity::starting(Instant::now())),
            number: Some(number),
        };
        (Routes::of(&[Arc::new(route)]), requests)
    }

    /// Whether callers get routes.
    fn publishes(lot: &mut Lot) -> bool {
        matches!(lot.settle(), Some(Some(_)))
    }

    /// A connection takes the place of another one, which has not written all of its requests. Then there is a call.
    fn replaced() -> (Lot, [UnboundedReceiver<Request>; 2], impl Sized) {
        let mut lot = Lot::new(9);
        let now = Instant::now();
        let (old, requests_of_old) = routes(lot.number());
        lot.replace_routes(old, now);
        assert!(publishes(&mut lot));
        let (new, mut requests) = routes(lot.number());
        lot.replace_routes(new, now);
        let (own, answer) = Responder::own();
        lot.enter(request(own));
        assert!(!publishes(&mut lot));
        assert!(requests.try_recv().is_err());
        assert_eq!((lot.has_routes(), lot.len()), (true, 1));
        (lot, [requests_of_old, requests], answer)
    }

    #[test]
    fn a_call_waits_until_the_replaced_connection_has_written() {
        let (mut lot, [_old, mut requests], _answer) = replaced();
        lot.left(1);
        assert!(publishes(&mut lot));
        assert!(requests.try_recv().is_ok());
        assert_eq!(lot.len(), 0);
    }

    #[test]
    fn a_call_does_not_wait_for_long_for_a_replaced_connection() {
        let (mut lot, [_old, mut requests], _answer) = replaced();
        let due = lot.wake_at().expect("it does not wait for ever");
        assert!(due <= Instant::now() + REPLACEMENT_PATIENCE);
        lot.expire(due);
        assert!(publishes(&mut lot));
        assert!(requests.try_recv().is_ok());
        assert_eq!(lot.len(), 0);
    }

    #[test]
    fn requests_of_the_pool_wait_while_the_circuit_is_open() {
        let mut lot = Lot::new(9);
        let (own, _answer) = Responder::own();
        lot.enter(request(own));
        lot.refuse_impatient(true);
        let (own, _later) = Responder::own();
        lot.enter(request(own));
        let (own, _back) = Responder::own();
        lot.take_back([request(own)].into());
        assert_eq!(lot.len(), 3);
        assert_eq!(lot.take_effects().refused.len(), 0);
    }
}
