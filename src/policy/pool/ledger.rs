//! Which connection goes to whom, which is opened, and which is closed.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use super::places::{Lane, Place, Places, State};

/// Leases are dialled so many at a time, so that a crowd of callers is no storm of connections.
const DIALS_AT_ONCE: usize = 2;

/// The connections of one database, and who waits for one. Every change of their number and of their
/// state goes through here.
pub(crate) struct Ledger<W, P: Places> {
    limits: Limits,
    permits: P,
    connections: HashMap<u64, Entry<P::Place>>,
    /// Those that can be leased; the one that was used last comes last, and is used first.
    idle: VecDeque<u64>,
    /// First come, first served.
    waiters: VecDeque<Waiter<W>>,
    /// When a shared connection last had more to do than it could.
    saturated: Option<Instant>,
}

/// What the settings say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// So many stay open though nobody uses them, shared ones included.
    pub(crate) min_idle: usize,
    pub(crate) min_shared: usize,
    pub(crate) max_shared: usize,
    pub(crate) idle_timeout: Duration,
}

#[derive(Debug)]
struct Entry<P> {
    permit: P,
    /// When it became idle, or was last used.
    since: Instant,
    /// When it is too old.
    expires: Option<Instant>,
    /// Nobody may use it any more once it is given back.
    is_distrusted: bool,
}

#[derive(Debug)]
struct Waiter<W> {
    who: W,
    deadline: Instant,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step<W, P> {
    /// Give the connection of this id to who has waited longest.
    HandOver(u64, W),
    /// Open one to be leased.
    Open(P),
}

/// Why a connection is closed that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Eviction {
    /// Nobody has used it for the idle timeout.
    Idle,
    /// It is older than the maximum lifetime.
    Lifetime,
    /// Fewer connections can do the work that is left.
    Spare,
    /// It is idle, and its place is needed for one that all share.
    Displaced,
}

impl<W, P: Places> Ledger<W, P> {
    pub(crate) fn new(permits: P, limits: Limits) -> Self {
        Self {
            limits,
            permits,
            connections: HashMap::new(),
            idle: VecDeque::new(),
            waiters: VecDeque::new(),
            saturated: None,
        }
    }

    /// The right to open a connection that all share. Where leases and what is being closed leave no
    /// room, an idle one has to go: its id is returned, and it is asked again once that is closed.
    pub(crate) fn request_shared(&mut self) -> Result<P::Place, Option<u64>> {
        let permit = self.permits.request(Lane::Shared);
        permit.ok_or_else(|| {
            let oldest = self.idle.front().copied();
            oldest.inspect(|id| self.close(*id))
        })
    }

    /// Whether another connection is to be opened that all share, because one has said at `now` that
    /// it has more to do than it can. Not while somebody waits for one to lease, who has none at all.
    pub(crate) fn grows(&mut self, now: Instant) -> bool {
        self.saturated = Some(now);
        if !self.waiters.is_empty() {
            return false;
        }
        let counts = self.permits.counts();
        let opening = counts.of(Lane::Shared, State::Opening);
        opening == 0 && counts.of(Lane::Shared, State::InUse) < self.limits.max_shared
    }

    /// A connection is open. One that all share is in use from now on, the other can be leased.
    pub(crate) fn opened(
        &mut self,
        id: u64,
        permit: P::Place,
        now: Instant,
        expires: Option<Instant>,
    ) {
        let lane = permit.lane();
        match lane {
            Lane::Shared => permit.set(State::InUse),
            Lane::Leased => permit.set(State::Idle),
        }
        let entry = Entry {
            permit,
            since: now,
            expires,
            is_distrusted: false,
        };
        self.connections.insert(id, entry);
        if lane == Lane::Leased {
            self.idle.push_back(id);
        }
    }

    /// Its socket is closed.
    pub(crate) fn ended(&mut self, id: u64) {
        self.connections.remove(&id);
        self.idle.retain(|idle| *idle != id);
    }

    /// Takes it out of service.
    pub(crate) fn close(&mut self, id: u64) {
        self.idle.retain(|idle| *idle != id);
        if let Some(entry) = self.connections.get(&id) {
            entry.permit.set(State::Closing);
        }
    }

    /// Whether it can be leased again that was given back; otherwise it is to be closed.
    pub(crate) fn released(&mut self, id: u64, now: Instant) -> Result<(), Option<Eviction>> {
        let Some(entry) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        let is_expired = entry.expires.is_some_and(|expires| expires <= now);
        if entry.is_distrusted || is_expired {
            let eviction = is_expired.then_some(Eviction::Lifetime);
            self.close(id);
            return Err(eviction);
        }
        entry.since = now;
        entry.permit.set(State::Idle);
        self.idle.push_back(id);
        Ok(())
    }

    /// Nobody can trust the connections there are: returns those that are idle and closes them, and
    /// those that are leased are closed when they are given back.
    pub(crate) fn distrust_leased(&mut self) -> Vec<u64> {
        for entry in self.connections.values_mut() {
            entry.is_distrusted |= entry.permit.lane() == Lane::Leased;
        }
        let idle: Vec<_> = self.idle.iter().copied().collect();
        for id in &idle {
            self.close(*id);
        }
        idle
    }

    /// Somebody wants to lease a connection until the deadline.
    pub(crate) fn wait(&mut self, who: W, deadline: Instant) {
        self.waiters.push_back(Waiter { who, deadline });
    }

    /// Somebody was handed a connection that had just ended, and is the first again.
    pub(crate) fn wait_again(&mut self, who: W, deadline: Instant) {
        self.waiters.push_front(Waiter { who, deadline });
    }

    /// Whether so many wait already, those not counted who are gone.
    pub(crate) fn is_crowded(&mut self, limit: usize, is_gone: impl Fn(&W) -> bool) -> bool {
        if self.waiters.len() >= limit {
            self.forget_gone(is_gone);
        }
        self.waiters.len() >= limit
    }

    /// Forgets who `is_gone`.
    pub(crate) fn forget_gone(&mut self, is_gone: impl Fn(&W) -> bool) {
        self.waiters.retain(|it| !is_gone(&it.who));
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// The next thing to do, to be asked until there is none. Who `is_gone` is forgotten.
    pub(crate) fn step(
        &mut self,
        may_open: bool,
        is_gone: impl Fn(&W) -> bool,
    ) -> Option<Step<W, P::Place>> {
        while self.waiters.front().is_some_and(|it| is_gone(&it.who)) {
            self.waiters.pop_front();
        }
        if !self.waiters.is_empty()
            && let Some(id) = self.idle.pop_back()
        {
            self.connections[&id].permit.set(State::InUse);
            let first = self.waiters.pop_front().expect("BUG: somebody waits");
            return Some(Step::HandOver(id, first.who));
        }
        if may_open && self.needs_more() {
            return self.permits.request(Lane::Leased).map(Step::Open);
        }
        None
    }

    /// Whether one more is to be opened to be leased: for those who wait, or for those to come.
    fn needs_more(&self) -> bool {
        let counts = self.permits.counts();
        let opening = counts.of(Lane::Leased, State::Opening);
        let ready = counts.of(Lane::Shared, State::InUse)
            + counts.of(Lane::Shared, State::Opening)
            + counts.of(Lane::Leased, State::Idle)
            + opening;
        let for_waiters = self.waiters.len() > opening;
        // A shared one comes first, and shows that the server is there.
        let for_later = ready < self.limits.min_idle && counts.of(Lane::Shared, State::InUse) > 0;
        opening < DIALS_AT_ONCE && (for_waiters || for_later)
    }

    /// Those whose deadline has passed, or `is_gone`.
    pub(crate) fn expire(&mut self, now: Instant, is_gone: impl Fn(&W) -> bool) -> Vec<W> {
        let waiters = std::mem::take(&mut self.waiters).into_iter();
        let (over, left): (Vec<_>, Vec<_>) =
            waiters.partition(|it| it.deadline <= now || is_gone(&it.who));
        self.waiters = left.into();
        over.into_iter().map(|it| it.who).collect()
    }

    /// Everybody who waits.
    pub(crate) fn dismiss(&mut self) -> Vec<W> {
        self.waiters.drain(..).map(|it| it.who).collect()
    }

    /// When to look for passed deadlines again.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.waiters.iter().map(|it| it.deadline).min()
    }

    /// A shared connection was last used then.
    pub(crate) fn used(&mut self, id: u64, last: Instant) {
        if let Some(entry) = self.connections.get_mut(&id) {
            entry.since = last;
        }
    }

    /// What is to be closed, and why. Leased connections are closed by this; shared ones are only
    /// named, because a successor may have to be opened before.
    pub(crate) fn sweep(&mut self, now: Instant, since_last: Duration) -> Vec<(u64, Eviction)> {
        let mut evicted = Vec::new();
        let shared = self.serving();
        let is_calm = self
            .saturated
            .is_none_or(|at| now.saturating_duration_since(at) >= since_last);
        // One at a time, to see whether the others can do without it.
        let spared = usize::from(is_calm && shared.len() > self.limits.min_shared);
        let is_expired = |id: &&u64| self.connections[id].is_expired(now);
        let leasable = self.idle.len() - self.idle.iter().filter(is_expired).count();
        let left = shared.len() - spared + leasable;
        let mut unneeded = left.saturating_sub(self.limits.min_idle);
        for id in self.idle.clone() {
            let entry = &self.connections[&id];
            if entry.is_expired(now) {
                evicted.push((id, Eviction::Lifetime));
            } else if unneeded > 0 && entry.is_unused(now, self.limits.idle_timeout) {
                unneeded -= 1;
                evicted.push((id, Eviction::Idle));
            }
        }
        for (id, _) in &evicted {
            self.close(*id);
        }
        // As long as one of them is used, there is the minimum of them.
        let is_unused = |id: &u64| self.connections[id].is_unused(now, self.limits.idle_timeout);
        let are_unused = shared.iter().all(is_unused);
        // What is kept though nobody uses it serves everybody: the last of them is among it.
        let kept = usize::from(self.limits.min_idle > 0);
        let mut spendable = (shared.len() - spared).saturating_sub(kept);
        for (index, id) in shared.into_iter().enumerate() {
            let entry = &self.connections[&id];
            if index < spared {
                evicted.push((id, Eviction::Spare));
            } else if unneeded > 0 && spendable > 0 && are_unused {
                unneeded -= 1;
                spendable -= 1;
                evicted.push((id, Eviction::Idle));
            } else if entry.is_expired(now) {
                evicted.push((id, Eviction::Lifetime));
            }
        }
        evicted
    }

    /// Those that all share; the youngest are the first to go, and come first.
    fn serving(&self) -> Vec<u64> {
        let is_shared = |it: &Entry<P::Place>| {
            it.permit.lane() == Lane::Shared && it.permit.state() == State::InUse
        };
        let shared = self.connections.iter().filter(|(_, it)| is_shared(it));
        let mut shared: Vec<_> = shared.map(|(id, _)| *id).collect();
        shared.sort_by_key(|id| std::cmp::Reverse(*id));
        shared
    }
}

impl<P> Entry<P> {
    fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn is_unused(&self, now: Instant, idle_timeout: Duration) -> bool {
        now.saturating_duration_since(self.since) >= idle_timeout
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
