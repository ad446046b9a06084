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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// Killed with SIGKILL, and started again three seconds later
    Kill,
    /// Stopped with SIGSTOP, and continued three seconds later
    Freeze,
    /// All of its clients are disconnected, once
    ClientKill,
}

/// When it happened.
pub struct Span {
    /// From here on the server does not answer.
    pub struck: Instant,
    /// The earliest moment at which it can answer again.
    pub lifted: Instant,
    /// It does answer.
    pub back: Instant,
}

impl Fault {
    /// Does it, and returns when the server is back. Blocks meanwhile.
    pub fn strike(self, server: &mut Server) -> Result<Span> {
        match self {
            Self::Kill => kill(server),
            Self::Freeze => freeze(server),
            Self::ClientKill => kill_clients(server),
        }
    }

    /// Such as "killed for 3 s".
    pub fn description(self) -> &'static str {
        match self {
            Self::Kill => "the server is killed, and started again 3 s later",
            Self::Freeze => "the server is frozen for 3 s",
            Self::ClientKill => "the server disconnects all clients, once",
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

fn kill(server: &mut Server) -> Result<Span> {
    server.kill();
    let struck = Instant::now();
    sleep(OUTAGE);
    let lifted = Instant::now();
    server.restart()?;
    Ok(Span {
        struck,
        lifted,
        back: Instant::now(),
    })
}

fn freeze(server: &Server) -> Result<Span> {
    server.freeze()?;
    let struck = Instant::now();
    ensure!(server.is_silent()?, "the server answers while it is frozen");
    sleep(OUTAGE.saturating_sub(struck.elapsed()));
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
