//! The shared lane: all callers send on its connections.

use std::time::{Duration, Instant};

use super::{Action, Closing, Eviction, Lane, Limits, Places, Pool, State, Waiter, ledger::Ledger};
use crate::{
    events::Reason,
    policy::{backoff::Backoff, pace::Pace},
};

/// A connection that lived for less than this is not replaced at once, so that a server which
/// accepts and drops connections is not dialled in a tight loop.
pub(super) const STABLE_AFTER: Duration = Duration::from_secs(1);

/// The longest pause between two replacements because of a reply: while a name leads to a replica, each write
/// would open another connection. The right server is found within this time.
pub(super) const MAX_RETIRE_PAUSE: Duration = Duration::from_secs(2);

/// When the shared connections are dialled, and when they are replaced.
pub(super) struct SharedLane {
    /// A dial is wanted now, whatever the pause.
    wish: Option<Wish>,
    /// These connections are taken out of service as soon as there is another.
    replacing: Vec<(u64, Eviction)>,
    /// Why the connections are to be replaced by one that is dialled anew: the settings have changed, or the server
    /// moves.
    renewing: Option<Eviction>,
    /// There was no room for a dial. It is made as soon as there is.
    lacks_room: bool,
    /// An idle connection that was closed to make room, and has not ended yet.
    displaced: Option<u64>,
    /// A connection that was closed to make room for its own successor, and has not ended yet.
    made_way: Option<u64>,
    /// The time before which there is no dial, unless one is asked for.
    pause: Option<Instant>,
    backoff: Backoff,
    /// How often callers may have the connections replaced.
    replacements: Pace,
    /// When a connection last had more to do than it could.
    saturated: Option<Instant>,
    /// The published routes are of this pool, and not of a crashed predecessor.
    has_published: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    /// If the minimum is lacking.
    Minimum,
    /// Even if it is not.
    Another,
}

/// How much callers wait for.
struct Demand {
    /// Requests for a shared connection.
    parked: usize,
    /// Callers for a connection of their own.
    waiting: usize,
    /// The health actor says when the server can be reached again.
    is_unreachable: bool,
}

/// The next thing to do for the lane.
enum Step<P> {
    Dial(u64, P),
    /// Close an idle connection to make room.
    Displace(u64),
    /// Close an old one to make room for its successor.
    MakeWay(u64, Eviction),
    /// Publish that there is no route: those of a predecessor take up the room.
    Withdraw,
}

impl Default for SharedLane {
    fn default() -> Self {
        Self {
            wish: None,
            replacing: Vec::new(),
            renewing: None,
            lacks_room: false,
            displaced: None,
            made_way: None,
            pause: None,
            backoff: Backoff::default(),
            replacements: Pace::new(MAX_RETIRE_PAUSE),
            saturated: None,
            has_published: false,
        }
    }
}

impl SharedLane {
    /// Dials now if the minimum is lacking.
    pub(super) fn ask(&mut self) {
        self.pause = None;
        self.lacks_room = false;
        self.wish = self.wish.max(Some(Wish::Minimum));
    }

    /// Dials at this time if the minimum is lacking, and not before.
    pub(super) fn ask_at(&mut self, at: Instant) {
        self.pause = Some(at);
        self.wish = None;
    }

    /// A dial failed beside connections that work.
    pub(super) fn failed(&mut self, reason: Reason, now: Instant, jitter: f64) {
        let pause = self.backoff.pause(reason, jitter);
        self.ask_at(now + pause);
    }

    /// No connection could be opened: the health actor says when to try again, and nothing else does.
    pub(super) fn leave_to_health(&mut self) {
        self.pause = None;
        self.wish = None;
    }

    /// A connection broke, and is to be replaced: at once if it had worked for a while.
    pub(super) fn lost(&mut self, was_stable: bool, now: Instant, jitter: f64) {
        if was_stable {
            self.backoff.reset();
            self.ask();
        } else {
            self.failed(Reason::ConnectionLost, now, jitter);
        }
    }

    /// The pause may be over.
    pub(super) fn pass(&mut self, now: Instant) {
        if self.pause.is_some_and(|until| until <= now) {
            self.ask();
        }
    }

    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.pause
    }

    /// Opens a successor before it takes the connection out of service.
    pub(super) fn replace(&mut self, id: u64, why: Eviction) {
        if self.replacing.iter().all(|(known, _)| *known != id) {
            self.replacing.push((id, why));
        }
        self.wish = Some(Wish::Another);
    }

    /// The connections whose successor is there.
    pub(super) fn replaced(&mut self) -> Vec<(u64, Eviction)> {
        std::mem::take(&mut self.replacing)
    }

    /// The limits have changed: a sweep says which are too old by the new ones, and a saturated connection whether
    /// another is permitted.
    pub(super) fn begin_anew(&mut self) {
        self.replacing.clear();
        self.lacks_room = false;
        self.wish = self.wish.filter(|wish| *wish == Wish::Minimum);
    }

    /// Opens a connection with the new settings, or to the new place, now.
    pub(super) fn renew(&mut self, why: Eviction) {
        // Settings that have changed are the reason to tell, whatever else there is.
        if self.renewing != Some(Eviction::Outdated) {
            self.renewing = Some(why);
        }
        self.backoff.reset();
        self.pause = None;
        self.wish = Some(Wish::Another);
    }

    /// Whether the present connections lead to the wrong place by the settings.
    pub(super) fn leads_elsewhere(&self) -> bool {
        self.renewing == Some(Eviction::Outdated)
    }

    /// Whether the connections are to be replaced by one that is dialled anew.
    pub(super) fn is_renewing(&self) -> bool {
        self.renewing.is_some()
    }

    /// Tells why there was a renewal, if there was one.
    pub(super) fn end_renewal(&mut self) -> Option<Eviction> {
        self.renewing.take()
    }

    /// It is out of service, and needs no successor any more.
    pub(super) fn closed(&mut self, id: u64) {
        self.replacing.retain(|(replacing, _)| *replacing != id);
    }

    /// It has ended, and its place is free.
    pub(super) fn ended(&mut self, id: u64) {
        self.closed(id);
        self.displaced = self.displaced.filter(|displaced| *displaced != id);
        self.made_way = self.made_way.filter(|made_way| *made_way != id);
    }

    /// Only what is parked is still served.
    pub(super) fn drain(&mut self) {
        self.replacing.clear();
        self.renewing = None;
        self.lacks_room = false;
    }

    /// One has more to do than it can. A server that is full is not asked for more than the minimum.
    pub(super) fn saturated<P: Places>(
        &mut self,
        ledger: &Ledger<P>,
        limits: &Limits,
        may_grow: bool,
        now: Instant,
    ) {
        self.saturated = Some(now);
        let counts = ledger.counts();
        let can_grow = counts.of(Lane::Shared, State::Opening) == 0
            && counts.of(Lane::Shared, State::InUse) < limits.max_shared;
        if can_grow && may_grow && self.pause.is_none() {
            self.wish = Some(Wish::Another);
        }
    }

    /// Whether none was saturated since the last sweep.
    pub(super) fn is_calm(&self, limits: &Limits, now: Instant) -> bool {
        self.saturated
            .is_none_or(|at| now.saturating_duration_since(at) >= limits.sweep_interval)
    }

    /// Whether callers may have the connections replaced now.
    pub(super) fn may_distrust(&mut self, now: Instant) -> bool {
        self.replacements.allows(now)
    }

    /// One dial at a time, however many wait for it.
    fn step<P: Places>(
        &mut self,
        ledger: &mut Ledger<P>,
        limits: &Limits,
        demand: &Demand,
        now: Instant,
    ) -> Option<Step<P::Place>> {
        let wish = self.wish.take();
        let renews = self.is_renewing() && !ledger.serving().is_empty();
        let lacks_minimum = ledger.serving().len() < limits.min_shared;
        let is_due = match wish {
            Some(Wish::Another) => true,
            Some(Wish::Minimum) if lacks_minimum => true,
            _ => self.wants_dial(demand, lacks_minimum, ledger.is_used(now, limits)),
        };
        if ledger.is_dialling(Lane::Shared) || !is_due {
            return None;
        }
        let place = match ledger.request(Lane::Shared) {
            None if renews => ledger.request_successor(),
            place => place,
        };
        match place {
            Some((id, place)) => {
                self.lacks_room = false;
                Some(Step::Dial(id, place))
            }
            // The old ones serve, and some connection is about to end.
            None if renews => None,
            None => {
                // An order to dial is not lost where there is no room.
                let is_kept = |wish: &Wish| *wish == Wish::Minimum && lacks_minimum;
                self.wish = wish.filter(is_kept);
                self.make_room(ledger, lacks_minimum)
            }
        }
    }

    /// Whether a connection is missing that is still wanted, and may be dialled.
    fn wants_dial(&mut self, demand: &Demand, lacks_minimum: bool, is_used: bool) -> bool {
        if self.pause.is_some() || demand.is_unreachable {
            return false;
        }
        if self.is_renewing() {
            return true;
        }
        let is_replacing = !self.replacing.is_empty();
        // A waiter for a lease comes before a connection that is only better to have.
        self.lacks_room &= lacks_minimum || is_replacing || demand.waiting == 0;
        let is_wanted = self.lacks_room || is_used || demand.parked > 0;
        is_wanted && (lacks_minimum || is_replacing || self.lacks_room)
    }

    /// The end of a connection makes room, and then there is another try.
    fn make_room<P: Places>(
        &mut self,
        ledger: &mut Ledger<P>,
        lacks_minimum: bool,
    ) -> Option<Step<P::Place>> {
        self.lacks_room = true;
        if self.displaced.is_some() {
            return None;
        }
        self.displaced = ledger.displace();
        if let Some(idle) = self.displaced {
            return Some(Step::Displace(idle));
        }
        // One that is only better to have is asked for again if it still is.
        self.lacks_room = lacks_minimum || !self.replacing.is_empty();
        if ledger.serving().is_empty() && !self.has_published {
            return Some(Step::Withdraw);
        }
        if self.made_way.is_some() {
            return None;
        }
        let (id, why) = self.replacing.pop()?;
        self.made_way = Some(id);
        Some(Step::MakeWay(id, why))
    }
}

impl<W: Waiter, P: Places, N> Pool<W, P, N> {
    pub(super) fn fill_shared(&mut self, now: Instant) -> Option<Action<W, P::Place, N>> {
        let demand = Demand {
            parked: self.parked,
            waiting: self.leased.waiting(),
            is_unreachable: self.is_unreachable,
        };
        let step = self
            .shared
            .step(&mut self.ledger, &self.limits, &demand, now)?;
        match step {
            Step::Dial(id, place) => return Some(Action::Dial { id, place }),
            Step::Displace(id) => self.close(id, Closing::Evicted(Eviction::Displaced)),
            Step::MakeWay(id, why) => {
                self.close(id, Closing::Evicted(why));
                self.publish();
            }
            Step::Withdraw => self.publish(),
        }
        self.actions.pop_front()
    }

    pub(super) fn publish(&mut self) {
        self.shared.has_published = true;
        self.actions.push_back(Action::Publish);
    }

    pub(super) fn saturated(&mut self, now: Instant) {
        self.leased.forget_gone();
        // A caller that waits for a lease has no connection at all.
        let may_grow = self.is_open() && self.leased.waiting() == 0 && !self.is_unreachable;
        self.shared
            .saturated(&self.ledger, &self.limits, may_grow, now);
    }

    pub(super) fn distrusted(&mut self, only: Option<u64>, now: Instant) {
        let is_meant = match only {
            None => true,
            Some(id) => self.serving().contains(&id) && self.shared.may_distrust(now),
        };
        if is_meant {
            self.doubt();
            self.distrust_all();
        }
    }

    /// Takes all connections out of service: they lead to the same server.
    pub(super) fn distrust_all(&mut self) {
        let changes_routes = !self.serving().is_empty() || !self.shared.has_published;
        for id in self.ledger.distrust() {
            self.close(id, Closing::Discarded);
        }
        if changes_routes {
            self.publish();
        }
    }
}
