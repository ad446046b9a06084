//! What may happen to the machine of a pool and the simulated shell around it.

use std::{rc::Rc, sync::Arc, time::Duration};

use super::{
    leased::MAX_DIALS,
    model::Happening,
    shared::MAX_RETIRE_PAUSE,
    world::{Event, Evidence, Guest, Known, MANY, Orphan, World, pick},
    *,
};
use crate::{events::Reason, policy::pace::Pace, state::Permit};

impl World {
    pub(super) fn happen(&mut self, happening: Happening) {
        if self.is_over {
            return;
        }
        match happening {
            Happening::Acquire(patience) => {
                self.acquire(patience);
            }
            Happening::GiveUp(which) => {
                if let Some(guest) = take(&mut self.queue, which) {
                    guest.gone.set(true);
                }
            }
            Happening::Park(requests) => self.park(requests),
            Happening::ParkedExpire => {
                self.parked = 0;
                self.turn(Event::Woken);
            }
            Happening::DialSucceeds(which) => self.dial_ends(which, Ok(())),
            Happening::DialFails { dial, is_refused } => {
                let reason = if is_refused {
                    Reason::ServerFull
                } else {
                    Reason::Unreachable
                };
                self.dial_ends(dial, Err(reason));
            }
            Happening::Release {
                lease,
                is_clean,
                is_suspect,
            } => self.release(lease, is_clean, is_suspect),
            Happening::SocketCloses(which) => {
                let open = self.ids(|known| known.task.is_some());
                if let Some(id) = pick(&open, which) {
                    self.known(*id).task = None;
                }
            }
            Happening::EndIsTold {
                connection,
                is_lost,
            } => {
                let ended = self.ids(|known| known.task.is_none());
                if let Some(id) = pick(&ended, connection) {
                    self.end_is_told(*id, is_lost);
                }
            }
            Happening::Used(which) => {
                let serving = self.serving();
                if let Some(id) = pick(&serving, which) {
                    self.known(*id).since = self.now;
                }
            }
            Happening::Saturated => self.saturate(),
            Happening::Sweep => self.sweep(),
            Happening::Distrust(which) => self.distrust(which),
            Happening::Redial(after) => {
                // Once for each time that it was told that there is no connection.
                if !(self.is_unreachable && self.may_try) {
                    self.redial(after);
                }
            }
            Happening::HandOff => self.hand_off(),
            Happening::LeaveBehind(kept) => self.leave_behind(kept),
            Happening::Move(kept) => self.move_away(kept),
            Happening::Disown(which) => self.disown(which),
            Happening::NotVerified => self.turn(Event::NotVerified),
            Happening::Reconfigure {
                max,
                limits,
                renews,
            } => self.reconfigure(max, limits, renews),
            Happening::Pass(time) => self.pass(time),
            Happening::Crash => self.crash(),
            Happening::OrphanEnds(which) => drop(take(&mut self.orphans, which)),
            Happening::Drain(grace) => {
                self.drain.get_or_insert(self.now + grace);
                let deadline = self.now + grace;
                self.turn(Event::Drain { deadline });
            }
        }
    }

    pub(super) fn acquire(&mut self, patience: Duration) -> u32 {
        self.guests += 1;
        let guest = Guest {
            number: self.guests,
            deadline: self.now + patience,
            gone: Rc::default(),
        };
        self.queue.push(guest.clone());
        self.turn(Event::Acquired(guest));
        self.guests
    }

    /// The shell sends them, if it can.
    pub(super) fn park(&mut self, requests: usize) {
        let serving = self.serving();
        let open = serving
            .iter()
            .find(|id| self.connections[id].task.is_some());
        match open {
            Some(id) => self.known(*id).since = self.now,
            None if self.is_forced => {}
            None => self.parked += requests,
        }
        self.turn(Event::Parked(self.parked));
    }

    pub(super) fn dial_ends(&mut self, which: usize, result: Result<(), Reason>) {
        let ids: Vec<_> = self.dials.keys().copied().collect();
        let Some(id) = pick(&ids, which).copied() else {
            return;
        };
        let permit = self.dials.remove(&id).expect("a dial");
        self.last_dial = Some(id);
        let lane = permit.lane();
        let is_wanted = self.pool.wants(id);
        let serves_parked = lane == Lane::Shared && self.parked > 0 && !self.is_forced;
        let is_outdated = self.outdated.remove(&id);
        let is_of_use = self.drain.is_none() || serves_parked;
        assert_eq!(is_wanted, is_of_use && !is_outdated);
        match result {
            _ if !is_wanted => {
                drop(permit);
                self.turn(Event::DialDropped(id));
            }
            Ok(()) => self.opened(id, permit),
            Err(reason) => {
                drop(permit);
                match lane {
                    Lane::Shared => {
                        self.shared_trouble = Some(self.now);
                        if self.serving().is_empty() {
                            self.doubt();
                        }
                    }
                    Lane::Leased => self.leased_trouble(),
                }
                let evidence = Evidence::DialFailed(id);
                self.turn(Event::DialFailed {
                    id,
                    reason,
                    evidence,
                });
            }
        }
    }

    fn opened(&mut self, id: u64, permit: Arc<Permit>) {
        let lane = permit.lane();
        let known = Known {
            task: Some(permit),
            lane,
            state: match lane {
                Lane::Shared => State::InUse,
                Lane::Leased => State::Idle,
            },
            opened: self.now,
            since: self.now,
            jitter: 0.0,
            expires: None,
            is_distrusted: false,
            is_outdated: false,
            is_superseded: false,
        };
        self.connections.insert(id, known);
        match lane {
            Lane::Shared => {
                self.is_unreachable = false;
                self.shared_trouble = None;
                self.supersede();
            }
            Lane::Leased => {
                self.idle.push(id);
                self.width = (2 * self.width).min(MAX_DIALS);
            }
        }
        // The same as in the turn to come.
        self.known(id).jitter = (self.jitter + 0.37).fract();
        self.known(id).expires = self.expiry(&self.connections[&id]);
        let evidence = Evidence::Connected(id);
        self.turn(Event::Opened { id, evidence });
    }

    pub(super) fn end_is_told(&mut self, id: u64, is_lost: bool) {
        let known = self.connections.remove(&id).expect("a connection");
        self.idle.retain(|idle| *idle != id);
        self.displaced = self.displaced.filter(|displaced| *displaced != id);
        let was_serving = (known.lane, known.state) == (Lane::Shared, State::InUse);
        let is_young = self.now - known.opened < Duration::from_secs(1);
        match known.lane {
            Lane::Shared if was_serving && is_young => self.shared_trouble = Some(self.now),
            Lane::Leased if is_lost && is_young => self.leased_trouble(),
            _ => {}
        }
        if was_serving && is_lost {
            self.doubt();
        }
        let evidence = is_lost.then_some(Evidence::Lost(id));
        self.turn(Event::ConnectionEnded {
            id,
            is_lost,
            evidence,
        });
    }

    fn saturate(&mut self) {
        let serving = self.count(Lane::Shared, State::InUse);
        let is_opening = self.count(Lane::Shared, State::Opening) > 0;
        // Deadlines that have passed come first.
        let is_over = |guest: &Guest| guest.deadline <= self.now;
        let can_grow = !is_opening && serving < self.limits.max_shared;
        self.may_grow |= can_grow && self.queue.iter().all(is_over);
        self.saturated = Some(self.now);
        self.turn(Event::Saturated);
    }

    fn distrust(&mut self, which: Option<usize>) {
        let serving = self.serving();
        let only = which.and_then(|which| pick(&serving, which).copied());
        self.is_distrusting = true;
        self.turn(Event::Distrusted { only });
        self.is_distrusting = false;
        if only.is_none() {
            assert!(self.serving().is_empty() && self.idle.is_empty());
        }
        let is_discarded = |closed: &(u64, Closing)| closed.1 == Closing::Discarded;
        if only.is_none() || self.closed.iter().any(is_discarded) {
            for known in self.connections.values_mut() {
                known.is_distrusted = true;
            }
            self.doubt();
        }
    }

    /// The server is elsewhere.
    fn move_away(&mut self, kept: u64) {
        let stale: Vec<_> = self.connections.keys().copied().collect();
        let stale: Vec<_> = stale.into_iter().filter(|id| id % 3 != kept).collect();
        self.stale.extend(&stale);
        self.outdated.extend(self.dials.keys());
        if self.drain.is_none() {
            self.is_unreachable = false;
            self.leased_trouble = None;
            // It may fill up to the minimum at once.
            self.may_try = true;
        }
        self.turn(Event::Moved {
            stale: stale.clone(),
        });
        for id in stale {
            let known = self.connections.get(&id);
            assert!(
                known.is_none_or(|known| known.task.is_none()),
                "{id} goes on"
            );
        }
    }

    /// The server knows all but one. That one may have ended meanwhile.
    fn disown(&mut self, which: usize) {
        let leased = self.ids(|known| known.lane == Lane::Leased);
        let named = pick(&leased, which).copied().unwrap_or(u64::MAX);
        self.disowned.insert(named);
        // A question may be due at this very moment.
        self.turn(Event::Woken);
        let known = leased.into_iter().filter(|id| *id != named);
        self.doubted.clear();
        self.turn(Event::Verified {
            known: known.collect(),
            disowned: vec![named],
        });
        let known = self.connections.get(&named);
        assert!(known.is_none_or(|known| known.state == State::Closing));
    }

    fn reconfigure(&mut self, max: usize, limits: Limits, renews: bool) {
        self.permits.resize(max, limits.min_shared);
        (self.max, self.limits) = (max, limits);
        let expiries = self.connections.iter();
        let expiries: Vec<_> = expiries
            .map(|(id, known)| (*id, self.expiry(known)))
            .collect();
        for (id, expires) in expiries {
            self.known(id).expires = expires;
        }
        self.too_old.clear();
        self.may_grow = false;
        if renews && self.drain.is_none() {
            self.leads_elsewhere = true;
            self.renew();
        }
        // It may keep one open from now on, or fill up to a greater minimum.
        self.may_try |= !self.is_unreachable;
        self.turn(Event::Reconfigured { limits, renews });
    }

    /// All connections are to be replaced.
    fn renew(&mut self) {
        self.has_renewed = true;
        for known in self.connections.values_mut() {
            known.is_outdated = true;
        }
        self.outdated.extend(self.dials.keys());
        self.is_unreachable = false;
        self.leased_trouble = None;
    }

    fn hand_off(&mut self) {
        if self.drain.is_none() {
            self.renew();
            // It may fill up to the minimum at once.
            self.may_try = true;
        }
        self.turn(Event::HandOff);
    }

    fn leave_behind(&mut self, kept: u64) {
        let leased = self.ids(|known| known.lane == Lane::Leased);
        let behind: Vec<_> = leased.into_iter().filter(|id| id % 3 != kept).collect();
        if self.drain.is_none() {
            for id in &behind {
                let known = self.known(*id);
                (known.is_outdated, known.is_superseded) = (true, true);
            }
            let dials = self.dials.iter();
            let for_leases = dials.filter(|(_, place)| place.lane() == Lane::Leased);
            self.outdated.extend(for_leases.map(|(id, _)| id));
        }
        self.turn(Event::LeftBehind(behind.clone()));
        let is_idle = self.idle.iter().any(|id| behind.contains(id));
        assert!(self.drain.is_some() || !is_idle, "{self:?}");
    }

    /// There is a connection with the present settings, or none whose place it could take.
    pub(super) fn supersede(&mut self) {
        self.leads_elsewhere = false;
        for known in self.connections.values_mut() {
            known.is_superseded = known.is_outdated;
        }
    }

    fn doubt(&mut self) {
        self.doubted = self.leased().into_iter().collect();
    }

    pub(super) fn redial(&mut self, after: Duration) {
        self.may_try = true;
        self.shared_trouble = Some(self.now);
        let at = self.now + after;
        self.turn(Event::Redial { at });
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut steps = 0;
        while let Some(at) = self.pool.wake_at().filter(|at| *at <= until) {
            steps += 1;
            assert!(steps < MANY, "it wants to be woken again and again");
            self.now = self.now.max(at);
            self.turn(Event::Woken);
        }
        self.now = until;
    }

    /// The pool is gone, and another one begins; what its tasks hold is still held.
    fn crash(&mut self) {
        if self.drain.is_some() {
            return;
        }
        self.abandon();
        self.pool = Pool::new(self.limits, self.permits.clone(), self.is_unreachable);
        self.may_try = true;
        (self.are_suspect, self.lease_replacements) = (false, Pace::new(MAX_RETIRE_PAUSE));
        self.width = if self.is_unreachable { 1 } else { MAX_DIALS };
        self.turn(Event::Started);
    }

    pub(super) fn abandon(&mut self) {
        let dials = std::mem::take(&mut self.dials).into_values();
        self.orphans.extend(dials.map(|task| Orphan {
            lane: task.lane(),
            state: State::Opening,
            is_routed: false,
            _task: task,
        }));
        let published = self.published.take().unwrap_or_default();
        for (id, known) in std::mem::take(&mut self.connections) {
            let (lane, state) = (known.lane, known.state);
            let is_routed = published.contains(&id);
            self.orphans.extend(known.task.map(|task| Orphan {
                lane,
                state,
                is_routed,
                _task: task,
            }));
        }
        self.queue.clear();
        self.idle.clear();
        self.leases.clear();
        self.cancelled.clear();
        self.outdated.clear();
        self.leads_elsewhere = false;
        self.too_old.clear();
        self.parked = 0;
        self.saturated = None;
        self.displaced = None;
        self.may_grow = false;
        self.doubted.clear();
    }
}

pub(super) fn take<T>(from: &mut Vec<T>, which: usize) -> Option<T> {
    (!from.is_empty()).then(|| from.remove(which % from.len()))
}
