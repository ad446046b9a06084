//! Handoffs: when servers announce that they move, when a successor of the connections is opened, and how long slow
//! replies on connections are no fault.
//!
//! It is a machine without a clock. Its shell is the pool actor.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Something that has happened. `A` is an address.
#[derive(Debug)]
pub(crate) enum Event<A> {
    /// The server of this connection goes within this time, to this address or to where the present one leads then.
    Moving {
        id: u64,
        within: Duration,
        to: Option<A>,
    },
    /// A connection was opened, which leads to this address. The numbers of connections grow.
    Opened {
        id: u64,
        at: A,
        /// A shared connection is the successor of those before, also where the new address could not be reached.
        is_shared: bool,
    },
    ConnectionEnded(u64),
    /// The settings lead elsewhere, so that an announcement of before concerns no dial any more.
    Renewed,
    /// The instant of [`Handoff::wake_at`] may have come.
    Woken,
}

/// Something to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action<A> {
    /// Slow replies on this connection are no fault until then.
    Relax { id: u64, until: Instant },
    /// Open a successor of all connections, then take these out of service. Until then the server may be at this address,
    /// if there is one.
    HandOff { to: Option<A>, until: Instant },
    /// The first connection that was dialled since is open. It leads to this address, unless that could not be reached.
    HandedOff { id: u64, to: Option<A> },
}

/// A server that goes sooner than this is given this time: the name of a host follows it a little later.
const LEAST: Duration = Duration::from_secs(10);
/// The time between two handoffs, so that a server which announces one on each new connection is not dialled in a
/// tight loop.
const PAUSE: Duration = Duration::from_secs(1);

/// The announced moves that concern one pool.
pub(crate) struct Handoff<A> {
    /// The handoff to begin at this time.
    planned: Option<(Instant, Move<A>)>,
    /// The last one that was begun.
    present: Option<Begun<A>>,
    /// The connection that was opened last.
    newest: u64,
    actions: VecDeque<Action<A>>,
}

struct Move<A> {
    to: Option<A>,
    until: Instant,
}

struct Begun<A> {
    at: Instant,
    moved: Move<A>,
    /// Connections up to this one were opened before.
    newest_before: u64,
    /// Later ones that lead to where the server was.
    behind: Vec<u64>,
    is_done: bool,
    /// A connection to the new address was open.
    has_arrived: bool,
}

impl<A> Default for Handoff<A> {
    fn default() -> Self {
        Self {
            planned: None,
            present: None,
            newest: 0,
            actions: VecDeque::new(),
        }
    }
}

impl<A: Clone + PartialEq> Handoff<A> {
    pub(crate) fn on(&mut self, event: Event<A>, now: Instant) {
        match event {
            Event::Moving { id, within, to } => self.moving(id, within, to, now),
            Event::Opened { id, at, is_shared } => self.opened(id, &at, is_shared, now),
            Event::ConnectionEnded(id) => self.ended(id),
            Event::Renewed => (self.planned, self.present) = (None, None),
            Event::Woken => {}
        }
        self.begin_if_due(now);
    }

    /// The next action. The shell asks until there is none.
    pub(crate) fn poll(&mut self) -> Option<Action<A>> {
        self.actions.pop_front()
    }

    /// When the shell is to send [`Event::Woken`].
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.planned.as_ref().map(|(at, _)| *at)
    }

    fn moving(&mut self, id: u64, within: Duration, to: Option<A>, now: Instant) {
        let until = now + within.max(LEAST);
        self.relax(id, until);
        if self.is_told_again(id, &to, now) {
            return;
        }
        // An address that stays leads to the new server only after a while.
        let pause = match to {
            Some(_) => Duration::ZERO,
            None => within / 2,
        };
        let before = self.present.as_ref().map(|present| present.at + PAUSE);
        let at = before.map_or(now + pause, |earliest| earliest.max(now + pause));
        self.planned = Some((at, Move { to, until }));
    }

    /// Each connection is told of the same move, those of which the successor is open included.
    fn is_told_again(&self, id: u64, to: &Option<A>, now: Instant) -> bool {
        let is_planned = self
            .planned
            .as_ref()
            .is_some_and(|(_, planned)| planned.to == *to);
        let is_begun = self.present.as_ref().is_some_and(|present| {
            let is_same = present.moved.to == *to;
            let is_behind = now < present.moved.until && present.behind.contains(&id);
            (id <= present.newest_before && (present.is_done || is_same)) || (is_behind && is_same)
        });
        is_planned || is_begun
    }

    fn begin_if_due(&mut self, now: Instant) {
        let Some((_, moved)) = self.planned.take_if(|(at, _)| *at <= now) else {
            return;
        };
        self.actions.push_back(Action::HandOff {
            to: moved.to.clone(),
            until: moved.until,
        });
        self.present = Some(Begun {
            at: now,
            moved,
            newest_before: self.newest,
            behind: Vec::new(),
            is_done: false,
            has_arrived: false,
        });
    }

    fn opened(&mut self, id: u64, at: &A, is_shared: bool, now: Instant) {
        self.newest = self.newest.max(id);
        let Some(present) = &mut self.present else {
            return;
        };
        let is_there = present.moved.to.as_ref().is_none_or(|to| to == at);
        let is_under_way = now < present.moved.until;
        if !is_there && is_under_way {
            present.behind.push(id);
        }
        // It may arrive after a shared connection has fallen back to the old address.
        let arrives = is_there && !present.has_arrived && (is_under_way || !present.is_done);
        if id > present.newest_before && (arrives || !present.is_done && is_shared) {
            present.is_done = true;
            present.has_arrived |= is_there;
            let to = present.moved.to.clone();
            self.actions.push_back(Action::HandedOff { id, to });
        }
        // The new server may still have much to do.
        if is_under_way {
            let until = present.moved.until;
            self.relax(id, until);
        }
    }

    fn ended(&mut self, id: u64) {
        if let Some(present) = &mut self.present {
            present.behind.retain(|behind| *behind != id);
        }
    }

    fn relax(&mut self, id: u64, until: Instant) {
        self.actions.push_back(Action::Relax { id, until });
    }
}

#[cfg(test)]
#[path = "handoff_tests.rs"]
mod tests;
