//! A machine, the simulated shell around it, and what the model knows of both.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet, HashSet},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{leased::MAX_DIALS, shared::MAX_RETIRE_PAUSE, *};
use crate::{
    policy::pace::Pace,
    state::{Permit, Permits},
};

/// More steps than any rest is away.
pub(super) const MANY: usize = 1_000;
/// No pause of a backoff is longer.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A caller that waits for a lease.
#[derive(Clone, Debug)]
pub(super) struct Guest {
    pub(super) number: u32,
    pub(super) deadline: Instant,
    pub(super) gone: Rc<Cell<bool>>,
}

impl Waiter for Guest {
    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn is_gone(&self) -> bool {
        self.gone.get()
    }
}

/// What the health actor would hear, and of which dial or connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    Connected(u64),
    DialFailed(u64),
    Lost(u64),
}

pub(super) type Event = super::Event<Guest, Evidence>;
pub(super) type Action = super::Action<Guest, Arc<Permit>, Evidence>;

/// A connection whose end is not told yet.
#[derive(Debug)]
pub(super) struct Known {
    /// Its task holds the permit until its socket is closed.
    pub(super) task: Option<Arc<Permit>>,
    pub(super) lane: Lane,
    pub(super) state: State,
    pub(super) opened: Instant,
    pub(super) since: Instant,
    pub(super) jitter: f64,
    pub(super) expires: Option<Instant>,
    pub(super) is_distrusted: bool,
    /// The settings have changed since it was opened.
    pub(super) is_outdated: bool,
    /// The same, and there is another one, or there was none to wait for.
    pub(super) is_superseded: bool,
}

/// A task of a crashed pool.
#[derive(Debug)]
pub(super) struct Orphan {
    pub(super) lane: Lane,
    pub(super) state: State,
    /// Routes of the crashed pool lead to it.
    pub(super) is_routed: bool,
    pub(super) _task: Arc<Permit>,
}

/// A machine, the shell around it, and what the model knows.
pub(super) struct World {
    pub(super) max: usize,
    pub(super) limits: Limits,
    pub(super) permits: Arc<Permits>,
    pub(super) pool: Pool<Guest, Arc<Permits>, Evidence>,
    pub(super) now: Instant,
    pub(super) jitter: f64,
    pub(super) guests: u32,
    /// The callers that wait and have not gone, in the order in which they are to be served.
    pub(super) queue: Vec<Guest>,
    pub(super) served: HashSet<u32>,
    pub(super) dials: BTreeMap<u64, Arc<Permit>>,
    pub(super) cancelled: HashSet<u64>,
    /// The one that has ended last.
    pub(super) last_dial: Option<u64>,
    /// Dials with other settings than the present ones.
    pub(super) outdated: HashSet<u64>,
    /// The present connections lead to the wrong place by the settings, and not because the server moves.
    pub(super) leads_elsewhere: bool,
    /// Connections may have been opened beyond the maximum, to replace others.
    pub(super) has_renewed: bool,
    /// All connections, and the leased ones, at the last rest.
    pub(super) totals: (usize, usize),
    pub(super) connections: BTreeMap<u64, Known>,
    /// In the order in which they became idle.
    pub(super) idle: Vec<u64>,
    /// Connections that callers have, also when they have ended.
    pub(super) leases: Vec<u64>,
    pub(super) orphans: Vec<Orphan>,
    pub(super) parked: usize,
    /// `None` while the routes are those of a crashed pool, or of none.
    pub(super) published: Option<Vec<u64>>,
    pub(super) saturated: Option<Instant>,
    /// A saturated connection is a cause for one more dial.
    pub(super) may_grow: bool,
    /// Swept as too old while they served.
    pub(super) too_old: HashSet<u64>,
    pub(super) displaced: Option<u64>,
    /// No connection could be opened, which was reported.
    pub(super) is_unreachable: bool,
    /// The pool has begun, or the health actor has asked for a dial.
    pub(super) may_try: bool,
    /// The last causes for pauses.
    pub(super) shared_trouble: Option<Instant>,
    pub(super) leased_trouble: Option<Instant>,
    /// The maximum of dials for leases at a time.
    pub(super) width: usize,
    pub(super) are_suspect: bool,
    /// The pool may be about to close all connections, because they lead to the wrong server.
    pub(super) is_distrusting: bool,
    pub(super) lease_replacements: Pace,
    /// The server was lost since these leased connections were opened, and was not asked for them.
    pub(super) doubted: BTreeSet<u64>,
    /// Those that led to where the server was.
    pub(super) stale: BTreeSet<u64>,
    pub(super) drain: Option<Instant>,
    /// The server has said that it does not know these.
    pub(super) disowned: HashSet<u64>,
    /// When the server was asked which leased connections it knows.
    pub(super) verified: Vec<Instant>,
    /// When the server was asked to end waits.
    pub(super) unblocked: Vec<Instant>,
    /// These were ended under their callers.
    pub(super) cut: HashSet<u64>,
    /// Since when each lease is out that has no command, in a drain.
    pub(super) idle_leases: BTreeMap<u64, Instant>,
    pub(super) is_forced: bool,
    pub(super) is_over: bool,
    /// Closed in the present turn, for these reasons.
    pub(super) closed: Vec<(u64, Closing)>,
}

impl World {
    pub(super) fn new((max, limits): (usize, Limits)) -> Self {
        let permits = Permits::new(max, limits.min_shared);
        let mut world = Self {
            max,
            limits,
            pool: Pool::new(limits, permits.clone(), false),
            permits,
            now: Instant::now(),
            jitter: 0.0,
            guests: 0,
            queue: Vec::new(),
            served: HashSet::new(),
            dials: BTreeMap::new(),
            cancelled: HashSet::new(),
            last_dial: None,
            outdated: HashSet::new(),
            leads_elsewhere: false,
            has_renewed: false,
            totals: (0, 0),
            connections: BTreeMap::new(),
            idle: Vec::new(),
            leases: Vec::new(),
            orphans: Vec::new(),
            parked: 0,
            published: None,
            saturated: None,
            may_grow: false,
            too_old: HashSet::new(),
            displaced: None,
            is_unreachable: false,
            may_try: true,
            shared_trouble: None,
            leased_trouble: None,
            width: MAX_DIALS,
            are_suspect: false,
            is_distrusting: false,
            lease_replacements: Pace::new(MAX_RETIRE_PAUSE),
            doubted: BTreeSet::new(),
            stale: BTreeSet::new(),
            drain: None,
            disowned: HashSet::new(),
            verified: Vec::new(),
            unblocked: Vec::new(),
            cut: HashSet::new(),
            idle_leases: BTreeMap::new(),
            is_forced: false,
            is_over: false,
            closed: Vec::new(),
        };
        world.turn(Event::Started);
        world
    }

    /// Tells the machine something, and carries out what follows.
    pub(super) fn turn(&mut self, event: Event) {
        self.closed.clear();
        self.jitter = (self.jitter + 0.37).fract();
        for id in self.serving() {
            self.pool.used(id, self.connections[&id].since);
        }
        self.tell(Event::Parked(self.parked));
        if self.pool.is_draining() || matches!(event, Event::Drain { .. }) {
            self.tell_leases();
        }
        self.tell(event);
        let mut steps = 0;
        while let Some(action) = self.pool.poll(self.now) {
            steps += 1;
            assert!(steps < MANY, "it comes to no rest");
            self.carry_out(action);
        }
        self.forget_growth();
        if self.serving().is_empty() {
            // There is nothing to be replaced.
            self.supersede();
        }
        self.judge_rest();
        let counts = self.permits.counts();
        self.totals = (counts.total(), counts.in_lane(Lane::Leased));
    }

    /// What callers do with their leases depends on the ids.
    fn tell_leases(&mut self) {
        let leases = self.ids(|known| (known.lane, known.state) == (Lane::Leased, State::InUse));
        let is_idle = |id: &u64| occupation(*id) == Occupation::Idle;
        self.idle_leases.retain(|id, _| leases.contains(id));
        for id in leases.iter().filter(|id| is_idle(id)) {
            self.idle_leases.entry(*id).or_insert(self.now);
        }
        let leases = leases.iter().map(|id| (*id, occupation(*id)));
        self.tell(Event::Leases(leases.collect()));
    }

    /// A connection that is only better to have is not kept for later while callers wait for leases.
    fn forget_growth(&mut self) {
        let serving = self.serving();
        let is_enough = serving.len() >= self.limits.min_shared
            && !serving.iter().any(|id| self.too_old.contains(id));
        let could_dial = !self.is_unreachable && self.shared_trouble.is_none();
        self.may_grow &= self.queue.is_empty() || !is_enough || !could_dial;
    }

    pub(super) fn tell(&mut self, event: Event) {
        if matches!(event, Event::Acquired(_)) {
            self.replace_suspects();
        }
        self.pool.on(event, self.now, self.jitter);
    }

    pub(super) fn leased_trouble(&mut self) {
        self.leased_trouble = Some(self.now);
        self.width = 1;
    }

    pub(super) fn known(&mut self, id: u64) -> &mut Known {
        self.connections.get_mut(&id).expect("a known connection")
    }

    pub(super) fn ids(&self, which: impl Fn(&Known) -> bool) -> Vec<u64> {
        let connections = self.connections.iter();
        let chosen = connections.filter(|(_, known)| which(known));
        chosen.map(|(id, _)| *id).collect()
    }

    /// The leased connections in service.
    pub(super) fn leased(&self) -> Vec<u64> {
        self.ids(|known| known.lane == Lane::Leased && known.state != State::Closing)
    }

    /// When a connection is too old.
    pub(super) fn expiry(&self, known: &Known) -> Option<Instant> {
        let lifetime = self.limits.max_lifetime?;
        Some(known.opened + lifetime.mul_f64(1.0 - 0.1 * known.jitter))
    }

    pub(super) fn serving(&self) -> Vec<u64> {
        self.ids(|known| (known.lane, known.state) == (Lane::Shared, State::InUse))
    }
}

pub(super) fn occupation(id: u64) -> Occupation {
    match id % 3 {
        0 => Occupation::Idle,
        1 => Occupation::Busy,
        _ => Occupation::Blocked,
    }
}

pub(super) fn pick<T>(from: &[T], which: usize) -> Option<&T> {
    from.get(which % from.len().max(1))
}
