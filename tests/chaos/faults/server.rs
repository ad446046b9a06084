//! Faults of one server and of the proxy in front of it.

use std::{thread, time::Duration};

use fastrand::Rng;
use redis::cmd;

use crate::{
    common::{FaultProxy, Mode},
    single::Single,
    site::CANARY,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ServerFault {
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

impl ServerFault {
    const ALWAYS: [Self; 9] = [
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
    const WITH_PROXY: [Self; 6] = [
        Self::Reset,
        Self::Refuse,
        Self::Delay,
        Self::SwallowReplies,
        Self::Cut,
        Self::BlackHole,
    ];

    /// Those that may hit this server.
    pub(super) fn all(single: &Single) -> Vec<Self> {
        let mut all = Self::ALWAYS.to_vec();
        if single.proxy.is_some() {
            all.extend(Self::WITH_PROXY);
        }
        all
    }

    /// Injects the fault, waits, and heals it before returning.
    pub(super) fn strike(self, single: &Single, random: &mut Rng) {
        let server = &single.server;
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
            Self::KillClients => kill_clients(single),
            Self::PauseAll => pause(single, "ALL", lasts),
            Self::PauseWrites => pause(single, "WRITE", lasts),
            Self::Sleep => {
                let seconds = lasts.as_secs_f64().to_string();
                server.cli(&["DEBUG", "SLEEP", &seconds]);
            }
            Self::ClientLimit => limit_clients(single, lasts),
            Self::Password => {
                server.set_password("another");
                kill_clients(single);
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
                let proxy = single.proxy.as_ref().expect("BUG: there is no proxy");
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

fn kill_clients(single: &Single) {
    for kind in ["normal", "pubsub"] {
        let killing = ["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"];
        single.server.cli(&killing);
    }
}

fn pause(single: &Single, whom: &str, lasts: Duration) {
    let millis = lasts.as_millis().to_string();
    single.server.cli(&["CLIENT", "PAUSE", &millis, whom]);
    thread::sleep(lasts);
    // The reply comes at the end of the pause.
    single.server.cli(&["PING"]);
}

fn limit_clients(single: &Single, lasts: Duration) {
    let mut admin = single.admin();
    let mut ask = |name: &str, args: &[&str]| {
        let done: redis::RedisResult<redis::Value> = cmd(name).arg(args).query(&mut admin);
        done.expect("the connection that was first");
    };
    ask("CONFIG", &["SET", "maxclients", "1"]);
    ask("CLIENT", &["KILL", "TYPE", "normal", "SKIPME", "yes"]);
    thread::sleep(lasts);
    ask("CONFIG", &["SET", "maxclients", "10000"]);
}
