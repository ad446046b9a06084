//! The connections of one pool, from their dials to their ends.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Instant,
};

use super::{Counts, Eviction, Lane, Limits, Place as _, Places, State, entry::Entry};

/// Every connection and every dial of a pool. Each change of their number and of their state goes
/// through here.
pub(super) struct Ledger<P: Places> {
    places: P,
    last_id: u64,
    dials: BTreeMap<u64, Dial<P::Place>>,
    connections: HashMap<u64, Entry<P::Place>>,
    /// The shared connections in service, the oldest first.
    serving: Vec<u64>,
    /// The connections that can be leased; the one that was used last comes last, and is used first.
    idle: VecDeque<u64>,
}

struct Dial<P> {
    place: P,
    is_cancelled: bool,
    /// The dial was made with other settings than the present ones, or to a place where the server was before.
    is_outdated: bool,
}

/// A connection that has ended.
pub(super) struct Past {
    pub(super) lane: Lane,
    pub(super) opened: Instant,
    /// All callers shared it until now.
    pub(super) was_serving: bool,
}

impl<P: Places> Ledger<P> {
    pub(super) fn new(places: P) -> Self {
        Self {
            places,
            last_id: 0,
            dials: BTreeMap::new(),
            connections: HashMap::new(),
            serving: Vec::new(),
            idle: VecDeque::new(),
        }
    }

    /// The right to open a connection, which has this id from now on, if there is room for one.
    pub(super) fn request(&mut self, lane: Lane) -> Option<(u64, P::Place)> {
        let place = self.places.request(lane)?;
        Some(self.begin_dial(place))
    }

    /// The right to open a shared connection in the place of those that serve.
    pub(super) fn request_successor(&mut self) -> Option<(u64, P::Place)> {
        let place = self.places.request_successor()?;
        Some(self.begin_dial(place))
    }

    fn begin_dial(&mut self, place: P::Place) -> (u64, P::Place) {
        self.last_id += 1;
        let dial = Dial {
            place: place.clone(),
            is_cancelled: false,
            is_outdated: false,
        };
        self.dials.insert(self.last_id, dial);
        (self.last_id, place)
    }

    pub(super) fn is_dial_outdated(&self, id: u64) -> bool {
        self.dials.get(&id).is_some_and(|dial| dial.is_outdated)
    }

    /// The settings have changed, or the server moves. Returns the dials that are to be given up.
    pub(super) fn outdate(&mut self) -> Vec<u64> {
        for entry in self.connections.values_mut() {
            entry.is_outdated = true;
        }
        self.outdate_dials()
    }

    /// They lead elsewhere. Returns those that are to be given up.
    pub(super) fn outdate_dials(&mut self) -> Vec<u64> {
        for dial in self.dials.values_mut() {
            dial.is_outdated = true;
        }
        self.cancel_dials()
    }

    /// The same for those of one lane.
    pub(super) fn outdate_dials_of(&mut self, lane: Lane) -> Vec<u64> {
        for dial in self.dials.values_mut() {
            dial.is_outdated |= dial.place.lane() == lane;
        }
        self.cancel(|dial| dial.is_outdated)
    }

    /// There is a connection that was dialled anew. Closes the others that serve or are idle, and returns them. The
    /// leased ones are closed when their leases are over.
    pub(super) fn supersede(&mut self, why: Eviction) -> Vec<u64> {
        for entry in self.connections.values_mut() {
            entry.superseded = entry.is_outdated.then_some(why);
        }
        let in_service = self.serving.iter().chain(&self.idle);
        let is_superseded = |id: &u64| self.connections[id].superseded.is_some();
        let superseded: Vec<_> = in_service.copied().filter(is_superseded).collect();
        for id in &superseded {
            self.close(*id);
        }
        superseded
    }

    /// Closes those of these leased connections that are idle, and returns them. The others are closed when their leases
    /// are over.
    pub(super) fn leave_behind(&mut self, leased: &[u64], why: Eviction) -> Vec<u64> {
        for id in leased {
            if let Some(entry) = self.connections.get_mut(id) {
                entry.is_outdated = true;
                entry.superseded = Some(why);
            }
        }
        let idle = self.idle.iter().copied();
        let behind: Vec<_> = idle.filter(|id| leased.contains(id)).collect();
        for id in &behind {
            self.close(*id);
        }
        behind
    }

    /// The number of leased connections that are too many.
    pub(super) fn excess(&self) -> usize {
        self.places.excess()
    }

    pub(super) fn dialled_for(&self, id: u64) -> Option<Lane> {
        self.dials.get(&id).map(|dial| dial.place.lane())
    }

    pub(super) fn is_dialling(&self, lane: Lane) -> bool {
        self.dials.values().any(|dial| dial.place.lane() == lane)
    }

    pub(super) fn is_dialling_any(&self) -> bool {
        !self.dials.is_empty()
    }

    /// Names each dial that is to be given up, once.
    pub(super) fn cancel_dials(&mut self) -> Vec<u64> {
        self.cancel(|_| true)
    }

    fn cancel(&mut self, is_meant: impl Fn(&Dial<P::Place>) -> bool) -> Vec<u64> {
        let running = self.dials.iter_mut();
        let running = running.filter(|(_, dial)| !dial.is_cancelled && is_meant(dial));
        let cancel = |(id, dial): (&u64, &mut Dial<P::Place>)| {
            dial.is_cancelled = true;
            *id
        };
        running.map(cancel).collect()
    }

    /// A dial has ended without a connection.
    pub(super) fn not_opened(&mut self, id: u64) -> Option<Lane> {
        self.dials.remove(&id).map(|dial| dial.place.lane())
    }

    /// A dial has opened a connection. A shared one is in use from now on, the other can be leased.
    pub(super) fn opened(&mut self, id: u64, now: Instant, jitter: f64) -> Option<Lane> {
        let place = self.dials.remove(&id)?.place;
        let lane = place.lane();
        match lane {
            Lane::Shared => {
                place.set(State::InUse);
                self.serving.push(id);
            }
            Lane::Leased => {
                place.set(State::Idle);
                self.idle.push_back(id);
            }
        }
        let entry = Entry {
            place,
            opened: now,
            since: now,
            jitter,
            is_distrusted: false,
            is_closing: false,
            is_outdated: false,
            superseded: None,
            is_doubted: false,
        };
        self.connections.insert(id, entry);
        Some(lane)
    }

    /// Takes a connection out of service.
    pub(super) fn close(&mut self, id: u64) {
        self.leave_service(id);
        if let Some(entry) = self.connections.get_mut(&id) {
            entry.is_closing = true;
            entry.place.set(State::Closing);
        }
    }

    /// The socket of a connection is closed.
    pub(super) fn ended(&mut self, id: u64) -> Option<Past> {
        let was_serving = self.serving.contains(&id);
        self.leave_service(id);
        let entry = self.connections.remove(&id)?;
        Some(Past {
            lane: entry.place.lane(),
            opened: entry.opened,
            was_serving,
        })
    }

    fn leave_service(&mut self, id: u64) {
        self.serving.retain(|serving| *serving != id);
        self.idle.retain(|idle| *idle != id);
    }

    pub(super) fn serving(&self) -> &[u64] {
        &self.serving
    }

    /// Whether it is a leased connection in service: a caller has it, or it is idle.
    pub(super) fn is_leased(&self, id: u64) -> bool {
        self.connections.get(&id).is_some_and(Entry::is_leased)
    }

    /// Whether it is one of those, and not to be closed when its lease is over.
    pub(super) fn is_trusted_for_leases(&self, id: u64) -> bool {
        let entry = self.connections.get(&id);
        entry.is_some_and(|entry| entry.is_leased() && !entry.is_distrusted)
    }

    /// The leased connections may be dead without a sign.
    pub(super) fn doubt(&mut self) {
        for entry in self.connections.values_mut() {
            entry.is_doubted = entry.is_leased();
        }
    }

    /// The server knows it, or nothing was said about it yet.
    pub(super) fn trust(&mut self, id: u64) {
        if let Some(entry) = self.connections.get_mut(&id) {
            entry.is_doubted = false;
        }
    }

    /// The leased connections in service that may be dead.
    pub(super) fn doubted(&self) -> Vec<u64> {
        let is_meant = |entry: &Entry<P::Place>| entry.is_doubted && entry.is_leased();
        let doubted = self.connections.iter().filter(|(_, entry)| is_meant(entry));
        let mut doubted: Vec<_> = doubted.map(|(id, _)| *id).collect();
        doubted.sort_unstable();
        doubted
    }

    pub(super) fn has_idle(&self) -> bool {
        !self.idle.is_empty()
    }

    /// Takes the idle connection that was used last, for a caller.
    pub(super) fn lend(&mut self) -> Option<u64> {
        let id = self.idle.pop_back()?;
        self.connections[&id].place.set(State::InUse);
        Some(id)
    }

    /// A lease is over, and the connection can be leased again. Otherwise it is closed.
    pub(super) fn give_back(
        &mut self,
        id: u64,
        now: Instant,
        limits: &Limits,
    ) -> Result<(), Option<Eviction>> {
        let Some(entry) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        let why = match entry {
            _ if entry.is_expired(now, limits) => Some(Some(Eviction::Lifetime)),
            _ if entry.is_distrusted => Some(None),
            _ => entry.superseded.map(Some),
        };
        if let Some(why) = why {
            self.close(id);
            return Err(why);
        }
        entry.since = now;
        entry.place.set(State::Idle);
        self.idle.push_back(id);
        Ok(())
    }

    /// Closes the idle connection that was used least recently, to make room.
    pub(super) fn displace(&mut self) -> Option<u64> {
        let id = self.idle.front().copied()?;
        self.close(id);
        Some(id)
    }

    /// Closes the connections that serve or are idle, and returns them. The leased ones are closed
    /// when their leases are over.
    pub(super) fn distrust(&mut self) -> Vec<u64> {
        for entry in self.connections.values_mut() {
            entry.is_distrusted = true;
        }
        let in_service = self.serving.iter().chain(&self.idle);
        let in_service: Vec<_> = in_service.copied().collect();
        for id in &in_service {
            self.close(*id);
        }
        in_service
    }

    /// Closes the idle connections, and returns them. Other leased ones are closed when their leases are over.
    pub(super) fn distrust_leased(&mut self) -> Vec<u64> {
        for entry in self.connections.values_mut() {
            entry.is_distrusted |= entry.is_leased();
        }
        let idle: Vec<_> = self.idle.iter().copied().collect();
        for id in &idle {
            self.close(*id);
        }
        idle
    }

    /// Notes when a shared connection was last used.
    pub(super) fn used(&mut self, id: u64, last: Instant) {
        if let Some(entry) = self.connections.get_mut(&id) {
            entry.since = last;
        }
    }

    /// Whether a shared connection was used within the idle timeout.
    pub(super) fn is_used(&self, now: Instant, limits: &Limits) -> bool {
        let is_used = |id| !self.connections[id].is_unused(now, limits);
        self.serving.iter().any(is_used)
    }

    pub(super) fn counts(&self) -> Counts {
        self.places.counts()
    }

    /// Whether connections of a crashed pool still take up places.
    pub(super) fn has_orphans(&self) -> bool {
        self.counts().total() > self.connections.len() + self.dials.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.dials.is_empty()
    }

    /// Names the connections that are to be closed, and why. Leased ones are closed by this; shared
    /// ones are only named, because a successor may have to be opened before.
    pub(super) fn sweep(
        &mut self,
        now: Instant,
        limits: &Limits,
        is_calm: bool,
    ) -> Vec<(u64, Eviction)> {
        let serving = self.serving.len();
        // One at a time, to see whether the others can do without it.
        let spared = usize::from(is_calm && serving > limits.min_shared);
        let expired = self.idle.iter();
        let expired = expired.filter(|id| self.connections[*id].is_expired(now, limits));
        let leasable = self.idle.len() - expired.count();
        let mut unneeded = (serving - spared + leasable).saturating_sub(limits.min_idle);
        let mut evicted = self.sweep_idle(now, limits, &mut unneeded);
        // As long as one of them is used, there is the minimum of them.
        let mut spendable = if self.is_used(now, limits) {
            0
        } else {
            // The last of the minimum is a shared one, because all callers can use it.
            let kept = usize::from(limits.min_idle > 0);
            (serving - spared).saturating_sub(kept)
        };
        // The youngest are the first to go.
        for (index, id) in self.serving.iter().rev().enumerate() {
            if index < spared {
                evicted.push((*id, Eviction::Spare));
            } else if unneeded > 0 && spendable > 0 {
                unneeded -= 1;
                spendable -= 1;
                evicted.push((*id, Eviction::Idle));
            } else if self.connections[id].is_expired(now, limits) {
                evicted.push((*id, Eviction::Lifetime));
            }
        }
        evicted
    }

    fn sweep_idle(
        &mut self,
        now: Instant,
        limits: &Limits,
        unneeded: &mut usize,
    ) -> Vec<(u64, Eviction)> {
        let mut evicted = Vec::new();
        for id in &self.idle {
            let entry = &self.connections[id];
            if entry.is_expired(now, limits) {
                evicted.push((*id, Eviction::Lifetime));
            } else if *unneeded > 0 && entry.is_unused(now, limits) {
                *unneeded -= 1;
                evicted.push((*id, Eviction::Idle));
            }
        }
        for (id, _) in &evicted {
            self.close(*id);
        }
        evicted
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
