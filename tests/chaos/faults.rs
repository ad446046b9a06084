//! The fault script: faults of one database, in an order that the seed determines.

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use redis::cmd;
use redis_steward::{CircuitState, HealthState, Supervisor};

use crate::{
    common::{FaultProxy, Mode, wait::poll},
    invariants::{Invariant, check},
    site::{CANARY, Site},
    stage::Stage,
};

/// Duplicated replies are excluded: the protocol cannot tell a reply from its copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    Kill,
    Freeze,
    KillClients,
    PauseAll,
    PauseWrites,
    Sleep,
    ClientLimit,
    Password,
    Replica,
    Reset,
    Refuse,
    Delay,
    SwallowReplies,
    Cut,
    BlackHole,
}

impl Fault {
    const OF_SERVERS: [Self; 9] = [
        Self::Kill,
        Self::Freeze,
        Self::KillClients,
        Self::PauseAll,
        Self::PauseWrites,
        Self::Sleep,
        Self::ClientLimit,
        Self::Password,
        Self::Replica,
    ];
    const OF_PROXIES: [Self; 6] = [
        Self::Reset,
        Self::Refuse,
        Self::Delay,
        Self::SwallowReplies,
        Self::Cut,
        Self::BlackHole,
    ];

    /// Injects the fault, waits, and heals it before returning.
    pub(crate) fn strike(self, site: &Site, random: &mut Rng) {
        let server = &site.server;
        // The duration is part of the script: some faults are shorter than the deadline of a call, and
        // some longer.
        let lasts = Duration::from_millis(random.u64(20..2_500));
        match self {
            Self::Kill => {
                server.kill();
                thread::sleep(lasts);
                server.restart();
            }
            Self::Freeze => {
                server.freeze();
                thread::sleep(lasts);
                server.thaw();
            }
            Self::KillClients => kill_clients(site),
            Self::PauseAll => pause(site, "ALL", lasts),
            Self::PauseWrites => pause(site, "WRITE", lasts),
            Self::Sleep => {
                let seconds = lasts.as_secs_f64().to_string();
                server.cli(&["DEBUG", "SLEEP", &seconds]);
            }
            Self::ClientLimit => limit_clients(site, lasts),
            Self::Password => {
                server.set_password("another");
                kill_clients(site);
                thread::sleep(lasts);
                server.set_password(CANARY);
            }
            Self::Replica => {
                // The primary does not exist, so the server never synchronizes and keeps its data.
                server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
                thread::sleep(lasts);
                server.cli(&["REPLICAOF", "NO", "ONE"]);
            }
            _ => {
                let proxy = site.proxy.as_ref().expect("BUG: there is no proxy");
                self.strike_proxy(proxy, lasts, random);
            }
        }
    }

    fn strike_proxy(self, proxy: &FaultProxy, lasts: Duration, random: &mut Rng) {
        let mut some = |limit| Duration::from_millis(random.u64(0..limit));
        match self {
            Self::Refuse => proxy.refuse(),
            Self::Delay => proxy.set(Mode::Delay {
                requests: some(300),
                replies: some(300),
            }),
            Self::SwallowReplies => proxy.set(Mode::SwallowReplies),
            Self::Cut => proxy.set(Mode::CutAfter {
                reply_bytes: random.usize(0..20_000),
            }),
            Self::BlackHole => proxy.set(Mode::BlackHole),
            _ => {}
        }
        if matches!(self, Self::Refuse | Self::Reset) {
            proxy.reset_all();
        }
        thread::sleep(lasts);
        if self == Self::SwallowReplies {
            proxy.end_swallowing();
        } else {
            proxy.heal();
        }
    }
}

fn kill_clients(site: &Site) {
    for kind in ["normal", "pubsub"] {
        let killing = ["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"];
        site.server.cli(&killing);
    }
}

fn pause(site: &Site, whom: &str, lasts: Duration) {
    let millis = lasts.as_millis().to_string();
    site.server.cli(&["CLIENT", "PAUSE", &millis, whom]);
    thread::sleep(lasts);
    // The reply comes at the end of the pause.
    site.server.cli(&["PING"]);
}

fn limit_clients(site: &Site, lasts: Duration) {
    let mut admin = site.admin();
    let mut ask = |name: &str, args: &[&str]| {
        let done: redis::RedisResult<redis::Value> = cmd(name).arg(args).query(&mut admin);
        done.expect("the connection that was first");
    };
    ask("CONFIG", &["SET", "maxclients", "1"]);
    ask("CLIENT", &["KILL", "TYPE", "normal", "SKIPME", "yes"]);
    thread::sleep(lasts);
    ask("CONFIG", &["SET", "maxclients", "10000"]);
}

/// A database is healthy within this time after the last fault.
pub(crate) const RECOVERY: Duration = Duration::from_secs(10);

/// The most dials during a fault: twice the maximum of a pool.
const DIALS: u64 = 100;

/// Injects faults one after the other until the end of faults.
pub(crate) struct Script {
    pub(crate) site: Arc<Site>,
    pub(crate) supervisor: Supervisor,
    pub(crate) stage: Arc<Stage>,
    pub(crate) random: Rng,
    pub(crate) started: Instant,
}

/// The number of strikes of each fault, and the longest recovery.
pub(crate) struct Played {
    pub(crate) strikes: BTreeMap<Fault, u32>,
    pub(crate) slowest: Duration,
}

impl Script {
    pub(crate) fn play(mut self) -> Played {
        let mut played = Played {
            strikes: BTreeMap::new(),
            slowest: Duration::ZERO,
        };
        let mut deck = Vec::new();
        while !self.stage.faults_have_ended() {
            // Every kind occurs once before any repeats.
            if deck.is_empty() {
                deck = self.shuffled();
            }
            let fault = deck.pop().expect("BUG: there are faults");
            let (at, name, before) = (self.started.elapsed(), self.site.name, self.dials());
            fault.strike(&self.site, &mut self.random);
            let (healed, dials) = (self.started.elapsed(), self.dials() - before);
            println!("{at:>9.3?} to {healed:>9.3?}  {name}: {fault:?}, {dials} dials");
            let are_few = check(Invariant::Connections, dials <= DIALS, || {
                format!("{name} was dialled {dials} times during {fault:?}")
            });
            self.stage.record(are_few, String::new);
            *played.strikes.entry(fault).or_default() += 1;
            // The next fault may strike during the recovery from this one.
            if self.random.bool() {
                played.slowest = played.slowest.max(self.recover(fault));
            }
            thread::sleep(Duration::from_millis(self.random.u64(0..500)));
        }
        played
    }

    /// The number of dials of the pool.
    fn dials(&self) -> u64 {
        let stats = self.supervisor.statistics();
        let pool = &stats.databases[self.site.name].pool;
        pool.opened + pool.dial_failures
    }

    fn shuffled(&mut self) -> Vec<Fault> {
        let mut deck = Fault::OF_SERVERS.to_vec();
        if self.site.proxy.is_some() {
            deck.extend(Fault::OF_PROXIES);
        }
        self.random.shuffle(&mut deck);
        deck
    }

    /// Waits until the database is healthy. Returns the time that this took.
    fn recover(&self, fault: Fault) -> Duration {
        let start = Instant::now();
        let every = Duration::from_millis(5);
        let recovered = poll(RECOVERY, every, || {
            let stats = self.supervisor.statistics();
            let stats = &stats.databases[self.site.name];
            let is_well = stats.health == HealthState::Healthy;
            (is_well && stats.circuit == CircuitState::Closed).then_some(())
        });
        let recovered = check(Invariant::Recovery, recovered.is_some(), || {
            let stats = self.supervisor.statistics();
            let stats = &stats.databases[self.site.name];
            format!(
                "{} is not healthy after {fault:?}: {stats:?}",
                self.site.name
            )
        });
        self.stage.record(recovered, String::new);
        start.elapsed()
    }
}
