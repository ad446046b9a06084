//! What the model thinks of actions.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    world::{Action, Event, Evidence, Known, World, occupation},
    *,
};
use crate::state::Permit;

impl World {
    /// Does what the shell would do, if there is a cause for it.
    pub(super) fn carry_out(&mut self, action: Action) {
        assert!(!self.is_over, "{action:?} after the end");
        match action {
            Action::Dial { id, place } => self.judge_dial(id, place),
            Action::CancelDial(id) => {
                assert!(self.drain.is_some() || self.outdated.contains(&id));
                // One may end in the very moment in which the grace ends.
                assert!(self.dials.contains_key(&id) || self.last_dial == Some(id));
                assert!(self.cancelled.insert(id), "once");
            }
            Action::HandOver { id, waiter } => {
                let first = self.queue.remove(0);
                assert_eq!(waiter.number, first.number, "first come, first served");
                assert_eq!(Some(id), self.idle.pop(), "the one that was used last");
                assert!(!self.leases.contains(&id), "it is handed out twice");
                let known = self.known(id);
                assert_eq!((known.lane, known.state), (Lane::Leased, State::Idle));
                known.state = State::InUse;
                if known.task.is_some() {
                    self.leases.push(id);
                    self.served.insert(first.number);
                } else {
                    known.state = State::Closing;
                    self.queue.insert(0, first);
                    self.tell(Event::NotHandedOver { id, waiter });
                }
            }
            Action::Reject { waiter, why } => {
                self.queue.retain(|guest| guest.number != waiter.number);
                match why {
                    Rejection::TimedOut => {
                        assert!(waiter.deadline() <= self.now || waiter.is_gone());
                    }
                    Rejection::TooManyWait => {
                        assert!(self.queue.len() >= self.limits.max_waiting);
                    }
                    Rejection::ShuttingDown => assert!(self.drain.is_some()),
                }
            }
            Action::Close { id, why } => self.judge_close(id, why),
            Action::Cut { id, why } => self.judge_cut(id, why),
            Action::Verify(ids) => {
                let leased = self.leased();
                let doubted = leased.into_iter().filter(|id| self.doubted.contains(id));
                assert_eq!(ids, doubted.collect::<Vec<_>>(), "all of them");
                assert!(!ids.is_empty() && !self.is_forced);
                self.verified.push(self.now);
                // Of every third one, nothing was said yet.
                let known: Vec<_> = ids.into_iter().filter(|id| id % 3 == 0).collect();
                self.doubted.retain(|id| !known.contains(id));
                let disowned = Vec::new();
                self.tell(Event::Verified { known, disowned });
            }
            Action::Unblock(ids) => {
                let is_blocked = |id: &u64| occupation(*id) == Occupation::Blocked;
                assert!(!ids.is_empty() && ids.iter().all(is_blocked));
                assert!(ids.iter().all(|id| !self.doubted.contains(id)));
                assert!(self.drain.is_some() && !self.is_forced);
                self.unblocked.push(self.now);
            }
            Action::Publish => self.published = Some(self.pool.serving().to_vec()),
            Action::SendParked(id) => {
                assert!(self.parked > 0);
                let now = self.now;
                let known = self.known(id);
                if known.task.is_some() {
                    known.since = now;
                    self.parked = 0;
                }
                self.tell(Event::Parked(self.parked));
            }
            Action::RefuseParked => {
                assert!(self.drain.is_some_and(|deadline| deadline <= self.now));
                self.parked = 0;
            }
            Action::Report(Evidence::Connected(id)) => {
                assert!(self.serving().contains(&id));
            }
            Action::Report(Evidence::DialFailed(_)) => {
                assert!(self.serving().is_empty(), "others work");
                self.is_unreachable = true;
                self.width = 1;
                self.may_try = false;
                self.shared_trouble = None;
            }
            Action::Report(Evidence::Lost(id)) => assert!(!self.connections.contains_key(&id)),
            Action::StopAll => {
                assert!(self.drain.is_some_and(|deadline| deadline <= self.now));
                self.is_forced = true;
            }
            Action::Finish => {
                let is_late = self
                    .drain
                    .is_some_and(|deadline| deadline + self.limits.stop_patience <= self.now);
                let is_empty = self.connections.is_empty() && self.dials.is_empty();
                assert!(self.drain.is_some() && (is_late || is_empty && self.parked == 0));
                self.is_over = true;
            }
        }
    }

    fn judge_dial(&mut self, id: u64, permit: Arc<Permit>) {
        let lane = permit.lane();
        let of_the_lane = |it: &&Arc<Permit>| it.lane() == lane;
        let under_way = self.dials.values().filter(of_the_lane).count();
        assert!(!self.is_forced, "it ends");
        match lane {
            Lane::Shared => {
                assert_eq!(under_way, 0, "one at a time");
                let serving = self.serving();
                let lacks_minimum = serving.len() < self.limits.min_shared;
                let replaces = serving.iter().any(|id| self.too_old.contains(id));
                let renews = serving.iter().any(|id| self.connections[id].is_outdated);
                let is_needed = lacks_minimum || replaces || renews || self.may_grow;
                assert!(is_needed, "{self:?}");
                assert!(
                    !self.is_unreachable || self.may_try,
                    "it is for health to say"
                );
                assert!(self.drain.is_none() || self.parked > 0);
                self.may_grow = false;
                self.may_try = false;
            }
            Lane::Leased => {
                assert!(self.drain.is_none() && !self.is_unreachable);
                assert!(under_way < self.width, "too many at a time: {self:?}");
                assert!(self.lacks_leases(under_way), "there is no need: {self:?}");
            }
        }
        let permit = self.dials.insert(id, permit);
        assert!(permit.is_none(), "an id for each");
    }

    /// Whether another is to be opened to be leased, if there is room.
    fn lacks_leases(&self, under_way: usize) -> bool {
        let serving = self.count(Lane::Shared, State::InUse);
        let opening = self.count(Lane::Shared, State::Opening);
        let ready = serving + opening + under_way + self.count(Lane::Leased, State::Idle);
        let are_too_few = serving > 0 && ready < self.limits.min_idle;
        self.queue.len() > under_way || are_too_few
    }

    fn judge_close(&mut self, id: u64, why: Closing) {
        let is_full = self.permits.counts().total() >= self.max;
        let (lane, is_expired) = {
            let now = self.now;
            let known = self.known(id);
            assert_ne!(known.state, State::Closing, "once");
            known.state = State::Closing;
            (
                known.lane,
                known.expires.is_some_and(|expires| expires <= now),
            )
        };
        match why {
            Closing::Evicted(Eviction::Displaced) => {
                assert_eq!(self.idle.first(), Some(&id), "the oldest has to go");
                assert!(is_full && self.queue.is_empty() && self.displaced.is_none());
                self.displaced = Some(id);
            }
            Closing::Evicted(Eviction::Lifetime) => {
                assert!(is_expired);
                if lane == Lane::Shared {
                    assert!(self.too_old.contains(&id), "it was swept");
                    let is_last = self.serving().is_empty();
                    let must = is_full && self.idle.is_empty();
                    assert!(!is_last || must, "make before break: {self:?}");
                }
            }
            Closing::Evicted(Eviction::Outdated | Eviction::Moved) => {
                assert!(self.connections[&id].is_outdated);
                // Make before break.
                let serving = self.serving();
                let is_new = |id: &u64| !self.connections[id].is_outdated;
                let had_none = lane == Lane::Leased && serving.is_empty();
                let is_late = lane == Lane::Leased && self.connections[&id].is_superseded;
                assert!(
                    had_none || is_late || serving.iter().any(is_new),
                    "{self:?}"
                );
            }
            Closing::Discarded => {
                let is_idle = self.idle.contains(&id);
                let is_distrusted = self.connections[&id].is_distrusted;
                assert!(
                    !is_idle || is_distrusted || self.is_distrusting || self.drain.is_some(),
                    "{self:?}"
                );
            }
            Closing::Evicted(Eviction::Idle | Eviction::Spare) => {}
        }
        self.idle.retain(|idle| *idle != id);
        self.closed.push((id, why));
    }

    /// Only what is of no use is ended under its caller.
    fn judge_cut(&mut self, id: u64, why: Cut) {
        let now = self.now;
        match why {
            Cut::Disowned => assert!(self.disowned.contains(&id)),
            Cut::Moved => assert!(self.stale.contains(&id)),
            Cut::ShuttingDown => {
                let idle = now - self.idle_leases[&id];
                assert!(
                    idle >= Duration::from_secs(1),
                    "its caller has time to notice"
                );
            }
        }
        self.cut.insert(id);
        let known = self.known(id);
        // What is closing is of use to its caller, unless the server is elsewhere.
        if why != Cut::Moved {
            assert_eq!(known.lane, Lane::Leased);
            assert_ne!(known.state, State::Closing, "once");
        }
        known.state = State::Closing;
        known.task = None;
        self.idle.retain(|idle| *idle != id);
    }

    /// A sweep closes what it has to, and keeps what it has to.
    pub(super) fn sweep(&mut self) {
        let before = self.swept_over();
        self.too_old.extend(
            before
                .iter()
                .filter(|swept| swept.is_shared && swept.is_expired)
                .map(|swept| swept.id),
        );
        let is_calm = self
            .saturated
            .is_none_or(|at| self.now - at >= self.limits.sweep_interval);
        self.turn(Event::Swept);
        if self.drain.is_some() {
            return;
        }
        let made_way = |it: &Swept| it.is_shared && it.is_expired;
        let reasons: BTreeMap<_, _> = self.closed.iter().copied().collect();
        let reason = |it: &Swept| match reasons.get(&it.id) {
            Some(Closing::Evicted(Eviction::Lifetime)) if made_way(it) => None,
            Some(Closing::Evicted(Eviction::Displaced | Eviction::Outdated | Eviction::Moved)) => {
                None
            }
            Some(Closing::Evicted(eviction)) => Some(*eviction),
            Some(Closing::Discarded) => panic!("a sweep trusts them"),
            None => None,
        };
        let is_displaced = |it: &Swept| {
            let others = [Eviction::Displaced, Eviction::Outdated, Eviction::Moved];
            let others = others.map(Closing::Evicted);
            reasons.get(&it.id).is_some_and(|why| others.contains(why))
        };
        let evicted: Vec<_> = before.iter().filter_map(&reason).collect();
        assert_eq!(self.pool.swept(), evicted.len());
        for it in &before {
            match reason(it) {
                Some(Eviction::Idle) => assert!(it.is_unused && (it.is_shared || !it.is_expired)),
                Some(Eviction::Lifetime) => assert!(it.is_expired && !it.is_shared),
                Some(Eviction::Spare) => assert!(it.is_shared),
                Some(Eviction::Displaced | Eviction::Outdated | Eviction::Moved) => {
                    unreachable!("set aside above")
                }
                None => assert!(!it.is_expired || it.is_shared || is_displaced(it)),
            }
        }
        let of = |eviction| evicted.iter().filter(|reason| **reason == eviction).count();
        let serving = before.iter().filter(|swept| swept.is_shared).count();
        let are_spare = usize::from(is_calm && serving > self.limits.min_shared);
        assert_eq!(of(Eviction::Spare), are_spare, "one at a time");
        let left: Vec<_> = before
            .iter()
            .filter(|swept| reason(swept).is_none())
            .collect();
        self.judge_left(&before, &left, of(Eviction::Idle));
    }

    fn judge_left(&self, before: &[Swept], left: &[&Swept], evicted: usize) {
        let min_idle = self.limits.min_idle;
        let are_shared = |all: &[&Swept]| all.iter().filter(|swept| swept.is_shared).count();
        let had_shared = before.iter().any(|swept| swept.is_shared);
        let keeps_shared = min_idle > 0 && had_shared;
        assert!(!keeps_shared || are_shared(left) > 0, "all can use it");
        assert!(evicted == 0 || left.len() >= min_idle, "the minimum");
        // As long as one of them is used, there is the minimum of them.
        let is_used = before
            .iter()
            .any(|swept| swept.is_shared && !swept.is_unused);
        let is_kept = |it: &&&Swept| {
            let is_only = keeps_shared && are_shared(left) == 1;
            !(it.is_shared && (is_used || is_only))
        };
        let unused = left.iter().filter(|swept| swept.is_unused).filter(is_kept);
        assert!(unused.count() == 0 || left.len() <= min_idle, "they go");
    }

    /// What a sweep may close.
    fn swept_over(&self) -> Vec<Swept> {
        let in_service = self
            .connections
            .iter()
            .filter(|(_, known)| match known.lane {
                Lane::Shared => known.state == State::InUse,
                Lane::Leased => known.state == State::Idle,
            });
        let swept = in_service.map(|(id, known)| Swept {
            id: *id,
            is_shared: known.lane == Lane::Shared,
            is_expired: known.expires.is_some_and(|expires| expires <= self.now),
            is_unused: self.now - known.since >= self.limits.idle_timeout,
        });
        swept.collect()
    }

    /// Counts what is held.
    pub(super) fn count(&self, lane: Lane, state: State) -> usize {
        let is_meant = |place: (Lane, State)| place == (lane, state);
        let dials = self
            .dials
            .values()
            .map(|task| (task.lane(), State::Opening));
        let orphans = self.orphans.iter().map(|known| (known.lane, known.state));
        let known = self
            .connections
            .values()
            .map(|known| (known.lane, known.state));
        let all = dials.chain(orphans).chain(known);
        all.filter(|place| is_meant(*place)).count()
    }
}

/// A connection that a sweep may close.
struct Swept {
    id: u64,
    is_shared: bool,
    is_expired: bool,
    is_unused: bool,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let wake = self
            .pool
            .wake_at()
            .map(|at| at.checked_duration_since(self.now));
        let state = |known: &Known| (known.lane, known.state, known.task.is_some());
        let connections = self
            .connections
            .iter()
            .map(|(id, known)| (*id, state(known)));
        let connections: BTreeMap<_, _> = connections.collect();
        f.debug_struct("World")
            .field("max", &self.max)
            .field("limits", &self.limits)
            .field("counts", &self.permits.counts())
            .field("connections", &connections)
            .field("queue", &self.queue.len())
            .field("parked", &self.parked)
            .field("orphans", &self.orphans.len())
            .field("is_unreachable", &self.is_unreachable)
            .field("wakes_in", &wake)
            .finish_non_exhaustive()
    }
}
