//! The leases that are out when a pool ends. A command in flight may finish within the grace. A command that
//! blocks would use it up for nothing, so the server is asked to end its wait. A lease without a command is
//! not waited for any longer than its caller needs to notice.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{Action, Cut, Occupation, Places, Pool, Waiter, drain::Phase};

/// How long an idle lease is waited for.
const IDLE_PATIENCE: Duration = Duration::from_secs(1);
/// The callers of leases say nothing when their commands end, so the pool looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A command may reach the server after the order to end its wait, and another may follow in its pipeline. So
/// the order is repeated: after this pause, then after twice the last one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct LeaseShutdown {
    leases: BTreeMap<u64, Lease>,
    /// The next order to end the waits, and the pause after it.
    unblock: Option<(Instant, Duration)>,
    look_at: Option<Instant>,
}

#[derive(Debug)]
struct Lease {
    occupation: Occupation,
    since: Instant,
}

impl LeaseShutdown {
    fn note(&mut self, leases: Vec<(u64, Occupation)>, now: Instant) {
        let mut before = std::mem::take(&mut self.leases);
        for (id, occupation) in leases {
            let known = before.remove(&id);
            let known = known.filter(|lease| lease.occupation == occupation);
            let since = known.map_or(now, |lease| lease.since);
            self.leases.insert(id, Lease { occupation, since });
        }
        self.look_at = (!self.leases.is_empty()).then(|| now + LOOK_EVERY);
    }

    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.look_at
    }

    /// The leases that were idle for too long. They are not waited for any more.
    fn take_idle(&mut self, now: Instant) -> Vec<u64> {
        let is_over = |lease: &Lease| {
            lease.occupation == Occupation::Idle && now - lease.since >= IDLE_PATIENCE
        };
        let over = self.leases.iter().filter(|(_, lease)| is_over(lease));
        let over: Vec<_> = over.map(|(id, _)| *id).collect();
        self.leases.retain(|_, lease| !is_over(lease));
        over
    }

    /// The leases with a blocking command.
    fn blocked(&self) -> impl Iterator<Item = u64> {
        let blocked = self.leases.iter();
        let blocked = blocked.filter(|(_, lease)| lease.occupation == Occupation::Blocked);
        blocked.map(|(id, _)| *id)
    }

    /// Whether the server is to be asked now to end waits.
    fn may_unblock(&mut self, now: Instant) -> bool {
        let (at, pause) = self.unblock.unwrap_or((now, FIRST_PAUSE));
        let may = at <= now;
        if may {
            self.unblock = Some((now + pause, 2 * pause));
        }
        may
    }
}

impl<W: Waiter, P: Places, N> Pool<W, P, N> {
    /// The leases that are out, and what their callers do with them.
    pub(super) fn note_leases(&mut self, leases: Vec<(u64, Occupation)>, now: Instant) {
        self.lease_shutdown.note(leases, now);
        if matches!(self.phase, Phase::Draining { .. }) {
            self.end_leases(now);
        }
    }

    pub(super) fn end_leases(&mut self, now: Instant) {
        for id in self.lease_shutdown.take_idle(now) {
            self.cut(id, Cut::ShuttingDown);
        }
        // The names of connections in doubt may be those of other clients by now, so these are asked for
        // before.
        let doubted = self.ledger.doubted();
        let blocked = self.lease_shutdown.blocked();
        let (in_doubt, blocked): (Vec<_>, Vec<_>) = blocked.partition(|id| doubted.contains(id));
        if in_doubt.is_empty() && blocked.is_empty() || !self.lease_shutdown.may_unblock(now) {
            return;
        }
        if !in_doubt.is_empty() {
            self.verify();
        }
        if !blocked.is_empty() {
            self.actions.push_back(Action::Unblock(blocked));
        }
    }
}
