//! What is done to the server.

use std::{
    fmt,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use clap::ValueEnum;
use serde::{Serialize, Serializer};

use crate::server::Server;

/// How long a server is away.
const OUTAGE: Duration = Duration::from_secs(3);
/// How long a server that flaps is away, and then there, each time, in milliseconds. Drawn at random,
/// once, so that every client meets the same in every run.
const FLAPS: [(u64, u64); 10] = [
    (937, 1561),
    (2659, 805),
    (1610, 1805),
    (1547, 896),
    (797, 1648),
    (2342, 920),
    (2411, 1701),
    (2124, 1106),
    (984, 839),
    (1414, 946),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// Killed with SIGKILL, and started again three seconds later
    Kill,
    /// Stopped with SIGSTOP, and continued three seconds later
    Freeze,
    /// All of its clients are disconnected, once
    ClientKill,
    /// Killed ten times, for 0.5 to 3 s, with 0.3 to 2 s between
    FlapKill,
    /// Stopped ten times, for 0.5 to 3 s, with 0.3 to 2 s between
    FlapFreeze,
}

/// When an outage happened.
pub struct Span {
    /// From here on the server does not answer.
    pub struck: Instant,
    /// The earliest moment at which it can answer again.
    pub lifted: Instant,
    /// It does answer.
    pub back: Instant,
}

impl Fault {
    /// Does it, and returns when the server is back, with each outage that there was. Blocks meanwhile.
    pub fn strike(self, server: &mut Server) -> Result<Vec<Span>> {
        match self {
            Self::Kill => Ok(vec![kill(server, OUTAGE)?]),
            Self::Freeze => Ok(vec![freeze(server, OUTAGE)?]),
            Self::ClientKill => Ok(vec![kill_clients(server)?]),
            Self::FlapKill => flap(server, kill),
            Self::FlapFreeze => flap(server, freeze),
        }
    }

    /// Whether the server flaps, which takes long.
    pub fn is_flapping(self) -> bool {
        matches!(self, Self::FlapKill | Self::FlapFreeze)
    }

    /// Such as "killed for 3 s".
    pub fn description(self) -> &'static str {
        match self {
            Self::Kill => "the server is killed, and started again 3 s later",
            Self::Freeze => "the server is frozen for 3 s",
            Self::ClientKill => "the server disconnects all clients, once",
            Self::FlapKill => {
                "the server is killed ten times, for 0.5 to 3 s, with 0.3 to 2 s between"
            }
            Self::FlapFreeze => {
                "the server is frozen ten times, for 0.5 to 3 s, with 0.3 to 2 s between"
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no fault is skipped");
        f.write_str(value.get_name())
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn kill(server: &mut Server, outage: Duration) -> Result<Span> {
    server.kill();
    let struck = Instant::now();
    sleep(outage);
    let lifted = Instant::now();
    server.restart()?;
    Ok(Span {
        struck,
        lifted,
        back: Instant::now(),
    })
}

fn freeze(server: &mut Server, outage: Duration) -> Result<Span> {
    server.freeze()?;
    let struck = Instant::now();
    ensure!(server.is_silent()?, "the server answers while it is frozen");
    sleep(outage.saturating_sub(struck.elapsed()));
    let lifted = Instant::now();
    server.thaw()?;
    Ok(Span {
        struck,
        lifted,
        back: lifted,
    })
}

fn kill_clients(server: &Server) -> Result<Span> {
    let mut connection = redis::Client::open(server.url())?.get_connection()?;
    let mut command = redis::cmd("CLIENT");
    command.arg("KILL").arg("TYPE").arg("normal");
    let killed: usize = command.arg("SKIPME").arg("yes").query(&mut connection)?;
    let now = Instant::now();
    ensure!(killed > 0, "the server had no client to disconnect");
    Ok(Span {
        struck: now,
        lifted: now,
        back: now,
    })
}

fn flap(
    server: &mut Server,
    outage: fn(&mut Server, Duration) -> Result<Span>,
) -> Result<Vec<Span>> {
    let mut spans = Vec::with_capacity(FLAPS.len());
    for (away, there) in FLAPS {
        spans.push(outage(server, Duration::from_millis(away))?);
        sleep(Duration::from_millis(there));
    }
    Ok(spans)
}
