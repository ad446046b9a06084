//! A ledger, the world around it, and a naive model of it.

use std::collections::{BTreeMap, HashSet};

use super::*;
use crate::state::permits::Permit;

/// More steps than any standstill is away.
const MANY: usize = 1_000;

/// What the ledger should know of a connection.
#[derive(Debug)]
struct Known {
    /// Its task holds it until its socket is closed.
    task: Option<Arc<Permit>>,
    lane: Lane,
    state: State,
    since: Instant,
    expires: Option<Instant>,
    is_distrusted: bool,
}

impl Known {
    fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }

    fn is_unused(&self, now: Instant) -> bool {
        now - self.since >= IDLE_TIMEOUT
    }
}

/// A ledger, the world around it, and what it should know.
pub(super) struct World {
    max: usize,
    limits: Limits,
    permits: Arc<Permits>,
    ledger: Ledger<u32, Arc<Permits>>,
    now: Instant,
    last_caller: u32,
    last_id: u64,
    /// In the order in which they are to be served.
    queue: Vec<(u32, Instant)>,
    gone: HashSet<u32>,
    dials: Vec<Arc<Permit>>,
    connections: BTreeMap<u64, Known>,
    /// In the order in which they became idle.
    idle: Vec<u64>,
    /// Connections that callers have, also when they have ended.
    leases: Vec<u64>,
    /// What the tasks of a pool hold that has crashed.
    orphans: Vec<Arc<Permit>>,
    saturated: Option<Instant>,
}

impl World {
    pub(super) fn new((max, limits): (usize, Limits)) -> Self {
        let permits = Permits::new(max, limits.min_shared);
        Self {
            max,
            limits,
            ledger: Ledger::new(permits.clone(), limits),
            permits,
            now: Instant::now(),
            last_caller: 0,
            last_id: 0,
            queue: Vec::new(),
            gone: HashSet::new(),
            dials: Vec::new(),
            connections: BTreeMap::new(),
            idle: Vec::new(),
            leases: Vec::new(),
            orphans: Vec::new(),
            saturated: None,
        }
    }

    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Wait(patience) => self.wait(patience),
            Event::GiveUp(which) => {
                if let Some((who, _)) = pick(&self.queue, which) {
                    self.gone.insert(*who);
                }
            }
            Event::Step {
                may_open,
                finds_it_ended,
            } => {
                self.step(may_open, finds_it_ended);
            }
            Event::StandStill { may_open } => self.stand_still(may_open),
            Event::DialSucceeds(which, lifetime) => self.dial_succeeds(which, lifetime),
            Event::DialFails(which) => drop(take(&mut self.dials, which)),
            Event::RequestShared => self.request_shared(),
            Event::Saturated => {
                let expected = self.queue.is_empty()
                    && self.count(Lane::Shared, State::Opening) == 0
                    && self.count(Lane::Shared, State::InUse) < self.limits.max_shared;
                assert_eq!(self.ledger.grows(self.now), expected);
                self.saturated = Some(self.now);
            }
            Event::Release { lease, is_clean } => self.release(lease, is_clean),
            Event::SocketCloses(which) => {
                let open = self.ids(|it| it.task.is_some());
                if let Some(id) = pick(&open, which) {
                    self.known(*id).task = None;
                }
            }
            Event::Ended(which) => {
                let closed = self.ids(|it| it.task.is_none());
                if let Some(id) = pick(&closed, which) {
                    self.connections.remove(id);
                    self.idle.retain(|idle| idle != id);
                    self.ledger.ended(*id);
                }
            }
            Event::Retire(which) => {
                let shared = self.ids(|it| (it.lane, it.state) == (Lane::Shared, State::InUse));
                if let Some(id) = pick(&shared, which) {
                    self.ledger.close(*id);
                    self.closes(*id);
                }
            }
            Event::Distrust => {
                for known in self.connections.values_mut() {
                    known.is_distrusted |= known.lane == Lane::Leased;
                }
                let idle = self.idle.clone();
                assert_eq!(self.ledger.distrust_leased(), idle);
                idle.into_iter().for_each(|id| self.closes(id));
            }
            Event::Used(which) => {
                let shared = self.ids(|it| it.lane == Lane::Shared);
                if let Some(id) = pick(&shared, which) {
                    self.ledger.used(*id, self.now);
                    self.known(*id).since = self.now;
                }
            }
            Event::Sweep => self.sweep(),
            Event::Expire => self.expire(),
            Event::Dismiss => {
                let all: Vec<_> = self.queue.drain(..).map(|(who, _)| who).collect();
                assert_eq!(self.ledger.dismiss(), all);
            }
            Event::Pass(time) => self.now += time,
            Event::Crash => self.crash(),
            Event::OrphanEnds(which) => drop(take(&mut self.orphans, which)),
        }
    }

    fn wait(&mut self, patience: Duration) {
        self.last_caller += 1;
        let deadline = self.now + patience;
        self.ledger.wait(self.last_caller, deadline);
        self.queue.push((self.last_caller, deadline));
    }

    /// Tells whether there was something to do.
    fn step(&mut self, may_open: bool, finds_it_ended: bool) -> bool {
        let gone = self.gone.clone();
        let step = self.ledger.step(may_open, |who| gone.contains(who));
        while self.queue.first().is_some_and(|it| gone.contains(&it.0)) {
            self.queue.remove(0);
        }
        match step {
            Some(Step::HandOver(id, who)) => {
                let (first, deadline) = self.queue.remove(0);
                assert_eq!(who, first, "first come, first served");
                assert_eq!(Some(id), self.idle.pop(), "the one that was used last");
                self.known(id).state = State::InUse;
                if finds_it_ended {
                    self.ledger.close(id);
                    self.closes(id);
                    self.ledger.wait_again(who, deadline);
                    self.queue.insert(0, (who, deadline));
                } else {
                    self.leases.push(id);
                }
                true
            }
            Some(Step::Open(permit)) => {
                assert!(may_open);
                assert_eq!(
                    (permit.lane(), permit.state()),
                    (Lane::Leased, State::Opening)
                );
                // The dial that has just been allowed is not among them yet.
                assert!(self.lacks_leases(), "nobody needs it");
                self.dials.push(permit);
                true
            }
            None => false,
        }
    }

    /// Steps until there is nothing to do, after which nobody waits for what there is or could be.
    fn stand_still(&mut self, may_open: bool) {
        let steps = (0..MANY).take_while(|_| self.step(may_open, false)).count();
        assert!(steps < MANY, "it comes to no end");
        assert!(self.queue.is_empty() || self.idle.is_empty(), "{self:?}");
        let has_room = self.permits.request(Lane::Leased).is_some();
        assert!(!(may_open && has_room && self.lacks_leases()), "{self:?}");
    }

    /// Whether another is to be opened to be leased, if there is room.
    fn lacks_leases(&self) -> bool {
        let opening = self.count(Lane::Leased, State::Opening);
        let serving = self.count(Lane::Shared, State::InUse);
        let coming = self.count(Lane::Shared, State::Opening) + opening;
        let ready = serving + coming + self.count(Lane::Leased, State::Idle);
        let are_too_few = serving > 0 && ready < self.limits.min_idle;
        opening < DIALS_AT_ONCE && (self.queue.len() > opening || are_too_few)
    }

    fn dial_succeeds(&mut self, which: usize, lifetime: Option<Duration>) {
        let Some(permit) = take(&mut self.dials, which) else {
            return;
        };
        self.last_id += 1;
        let id = self.last_id;
        let (lane, expires) = (permit.lane(), lifetime.map(|it| self.now + it));
        self.ledger.opened(id, permit.clone(), self.now, expires);
        let state = match lane {
            Lane::Shared => State::InUse,
            Lane::Leased => State::Idle,
        };
        let known = Known {
            task: Some(permit),
            lane,
            state,
            since: self.now,
            expires,
            is_distrusted: false,
        };
        self.connections.insert(id, known);
        if lane == Lane::Leased {
            self.idle.push(id);
        }
    }

    fn request_shared(&mut self) {
        let is_full = self.total() == self.max;
        match self.ledger.request_shared() {
            Ok(permit) => {
                assert!(!is_full);
                self.dials.push(permit);
            }
            Err(in_the_way) => {
                assert!(is_full);
                assert!(
                    self.in_lane(Lane::Shared) >= self.limits.min_shared,
                    "its room is taken"
                );
                assert_eq!(
                    in_the_way,
                    self.idle.first().copied(),
                    "the oldest has to go"
                );
                in_the_way.into_iter().for_each(|id| self.closes(id));
            }
        }
    }

    fn release(&mut self, which: usize, is_clean: bool) {
        let Some(id) = take(&mut self.leases, which) else {
            return;
        };
        let now = self.now;
        if !is_clean {
            self.ledger.close(id);
            return self.closes(id);
        }
        let released = self.ledger.released(id, now);
        let Some(known) = self.connections.get_mut(&id) else {
            return assert_eq!(released, Ok(()), "it has ended before");
        };
        if known.is_distrusted || known.is_expired(now) {
            let eviction = known.is_expired(now).then_some(Eviction::Lifetime);
            assert_eq!(released, Err(eviction));
            return self.closes(id);
        }
        assert_eq!(released, Ok(()));
        known.state = State::Idle;
        known.since = now;
        self.idle.push(id);
    }

    fn sweep(&mut self) {
        let evicted = self.ledger.sweep(self.now, SWEPT_EVERY);
        let reasons: BTreeMap<_, _> = evicted.iter().copied().collect();
        assert_eq!(reasons.len(), evicted.len(), "each of them once");
        let may_go = self.ids(|it| match it.lane {
            Lane::Shared => it.state == State::InUse,
            Lane::Leased => it.state == State::Idle,
        });
        assert!(evicted.iter().all(|(id, _)| may_go.contains(id)));
        let serving = self.count_known(Lane::Shared, State::InUse);
        let (mut left, mut are_kept, mut are_shared) = (0, Vec::new(), Vec::new());
        // As long as one of them is used, there is the minimum of them.
        let shares_are_used = may_go.iter().any(|id| {
            let known = &self.connections[id];
            known.lane == Lane::Shared && !known.is_unused(self.now)
        });
        for id in may_go {
            let known = &self.connections[&id];
            let (is_shared, is_expired) = (known.lane == Lane::Shared, known.is_expired(self.now));
            let is_unused = known.is_unused(self.now);
            let reason = reasons.get(&id).copied();
            match reason {
                Some(Eviction::Idle) => assert!(is_unused && (is_shared || !is_expired)),
                Some(Eviction::Lifetime) => assert!(is_expired),
                Some(Eviction::Spare) => assert!(is_shared),
                Some(Eviction::Displaced) => panic!("nobody needs its place"),
                None => assert!(!is_expired, "it is too old"),
            }
            // A shared one that is too old stays until there is another.
            let stays = reason.is_none() || is_shared && reason == Some(Eviction::Lifetime);
            left += usize::from(stays);
            if is_shared && stays {
                are_shared.push(id);
            }
            if is_unused && stays && !(is_shared && shares_are_used) {
                are_kept.push(id);
            }
            if !is_shared && !stays {
                self.closes(id);
            }
        }
        let of = |reason| evicted.iter().filter(|it| it.1 == reason).count();
        let (idle, spare) = (of(Eviction::Idle), of(Eviction::Spare));
        let min_idle = self.limits.min_idle;
        if min_idle > 0 && serving > 0 {
            assert!(
                !are_shared.is_empty(),
                "the minimum serves everybody: {evicted:?}"
            );
            if let [only] = are_shared[..] {
                are_kept.retain(|id| *id != only);
            }
        }
        assert!(
            idle == 0 || left >= min_idle,
            "the minimum is kept: {evicted:?}"
        );
        assert!(
            are_kept.is_empty() || left <= min_idle,
            "nobody uses {are_kept:?}"
        );
        let is_calm = self.saturated.is_none_or(|at| self.now - at >= SWEPT_EVERY);
        let are_spare = usize::from(is_calm && serving > self.limits.min_shared);
        assert_eq!(spare, are_spare, "one at a time: {evicted:?}");
    }

    fn expire(&mut self) {
        let (now, gone) = (self.now, &self.gone);
        let is_over = |it: &(u32, Instant)| it.1 <= now || gone.contains(&it.0);
        let over: Vec<_> = self.queue.iter().filter(|it| is_over(it)).collect();
        let over: Vec<_> = over.into_iter().map(|it| it.0).collect();
        assert_eq!(self.ledger.expire(now, |who| gone.contains(who)), over);
        self.queue.retain(|it| !is_over(it));
    }

    /// The pool is gone, and another one begins; what its tasks hold is still held.
    fn crash(&mut self) {
        self.ledger = Ledger::new(self.permits.clone(), self.limits);
        self.orphans.append(&mut self.dials);
        let known = std::mem::take(&mut self.connections).into_values();
        self.orphans.extend(known.filter_map(|it| it.task));
        self.queue.clear();
        self.idle.clear();
        self.leases.clear();
        self.saturated = None;
    }

    /// Whoever holds something lets go.
    pub(super) fn end(&mut self) {
        self.crash();
        self.orphans.clear();
    }

    /// What holds at all times.
    pub(super) fn check(&self) {
        let counts = self.permits.counts();
        for lane in [Lane::Shared, Lane::Leased] {
            for state in [State::Opening, State::Idle, State::InUse, State::Closing] {
                let expected = self.count(lane, state);
                assert_eq!(counts.of(lane, state), expected, "{lane:?} {state:?}");
            }
        }
        assert_eq!(counts.total(), self.total());
        assert!(self.total() <= self.max);
        let for_leases = self.max - self.limits.min_shared;
        assert!(
            self.in_lane(Lane::Leased) <= for_leases,
            "the shared lane's room"
        );
        for known in self.connections.values() {
            let states = known.task.iter().map(|it| it.state());
            states.for_each(|state| assert_eq!(state, known.state));
        }
        assert_eq!(self.ledger.waiting(), self.queue.len());
        let next = self.queue.iter().map(|it| it.1).min();
        assert_eq!(self.ledger.next_deadline(), next);
        // Whoever takes all there is gets so many.
        let taken = std::iter::from_fn(|| self.permits.request(Lane::Leased));
        let could_be_opened = taken.collect::<Vec<_>>().len();
        let idle = self.count(Lane::Leased, State::Idle);
        assert_eq!(self.permits.available(&counts), idle + could_be_opened);
    }

    /// Counts what is held.
    fn count(&self, lane: Lane, state: State) -> usize {
        let unknown = self.dials.iter().chain(&self.orphans);
        let unknown = unknown.filter(|it| (it.lane(), it.state()) == (lane, state));
        let known = self.connections.values();
        unknown.count()
            + known
                .filter(|it| (it.lane, it.state) == (lane, state))
                .count()
    }

    /// Of those the ledger knows.
    fn count_known(&self, lane: Lane, state: State) -> usize {
        let known = self.connections.values();
        known
            .filter(|it| (it.lane, it.state) == (lane, state))
            .count()
    }

    fn in_lane(&self, lane: Lane) -> usize {
        let unknown = self.dials.iter().chain(&self.orphans);
        let known = self.connections.values().filter(|it| it.lane == lane);
        unknown.filter(|it| it.lane() == lane).count() + known.count()
    }

    pub(super) fn total(&self) -> usize {
        self.dials.len() + self.orphans.len() + self.connections.len()
    }

    fn ids(&self, which: impl Fn(&Known) -> bool) -> Vec<u64> {
        let found = self.connections.iter().filter(|it| which(it.1));
        found.map(|it| *it.0).collect()
    }

    fn known(&mut self, id: u64) -> &mut Known {
        self.connections.get_mut(&id).expect("a known connection")
    }

    fn closes(&mut self, id: u64) {
        self.idle.retain(|idle| *idle != id);
        if let Some(known) = self.connections.get_mut(&id) {
            known.state = State::Closing;
        }
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (queue, counts) = (&self.queue, self.permits.counts());
        write!(
            f,
            "{counts:?} of {}, {:?}, {queue:?} wait",
            self.max, self.limits
        )
    }
}

fn pick<T>(from: &[T], which: usize) -> Option<&T> {
    from.get(which % from.len().max(1))
}

fn take<T>(from: &mut Vec<T>, which: usize) -> Option<T> {
    (!from.is_empty()).then(|| from.remove(which % from.len()))
}
