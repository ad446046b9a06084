//! What has another server put in the primary's place.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::Result;
use clap::ValueEnum;
use serde::{Serialize, Serializer};

use super::service::Service;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Failover {
    /// The primary is killed with SIGKILL
    Kill,
    /// The sentinels are told to by SENTINEL FAILOVER, while the primary is well
    Ordered,
}

/// When another server became the primary.
pub struct Switch {
    /// The primary was killed, or the sentinels were told.
    pub struck: Instant,
    /// A sentinel names the new primary for the first time.
    pub switched: Instant,
    /// Its port.
    pub primary: u16,
}

impl Failover {
    /// Does it, and waits until a sentinel names another primary. Blocks meanwhile.
    pub fn strike(self, service: &Service) -> Result<Switch> {
        let old = service.primary();
        let struck = match self {
            Self::Kill => {
                let struck = Instant::now();
                old.kill();
                struck
            }
            Self::Ordered => service.fail_over()?,
        };
        let (primary, switched) = service.primary_after(old.port)?;
        Ok(Switch {
            struck,
            switched,
            primary,
        })
    }

    pub fn description(self) -> &'static str {
        match self {
            Self::Kill => "the primary is killed",
            Self::Ordered => "a failover is ordered, while the primary is well",
        }
    }
}

impl Switch {
    /// What the sentinels need, which no client can do anything about.
    pub fn took(&self) -> Duration {
        self.switched - self.struck
    }
}

impl fmt::Display for Failover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no failover is skipped");
        f.write_str(value.get_name())
    }
}

impl Serialize for Failover {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
