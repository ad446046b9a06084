//! The keys of a run.

use std::{sync::Arc, time::Duration};

use redis_steward::{
    Database, Error,
    redis::{Cmd, Value, cmd, pipe},
};

use super::halt::Halt;
use crate::{arguments::BenchArguments, failure::Failure};

/// So many keys are written or removed at a time, if their values are not longer than this together.
const LOT: u32 = 500;
const LOT_BYTES: u32 = 4 << 20;

/// The most bytes of all values. A server that runs out of memory hurts its other clients.
const MOST_BYTES: u64 = 1 << 30;

/// The most bytes of the values that all clients send at a time. Each of these is in the memory of this process about
/// three times: as a command, as the bytes of a request, and in the buffer of a connection.
const MOST_BYTES_AT_ONCE: u64 = 256 << 20;

/// The longest wait for the removal of some keys. A server that was measured may have much to do.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Keys under a prefix that no other program has. They also expire, in case this process cannot remove them.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: Arc<str>,
    count: u32,
    /// Held once for all clients.
    value: Arc<str>,
    expiry: Duration,
}

impl Keys {
    pub(super) fn new(arguments: &BenchArguments) -> Result<Self, Failure> {
        let bytes = u64::from(arguments.keys.get()) * u64::from(arguments.size);
        if bytes > MOST_BYTES {
            let message = format!(
                "the values would take {bytes} bytes, and 1 GiB is the most; lower --keys or --size"
            );
            return Err(Failure::Usage(message));
        }
        let at_once = u64::from(arguments.clients.get()) * u64::from(arguments.size);
        if at_once > MOST_BYTES_AT_ONCE {
            let message = format!(
                "the clients would send {at_once} bytes at a time, and 256 MiB is the most; lower --clients or --size"
            );
            return Err(Failure::Usage(message));
        }
        Ok(Self {
            prefix: format!("redis-steward-bench:{:016x}:", fastrand::u64(..)).into(),
            count: arguments.keys.get(),
            value: "x".repeat(arguments.size as usize).into(),
            // Long enough for a slow server, and for redis-benchmark after this.
            expiry: Duration::from_secs(600 + 10 * arguments.seconds.as_secs()),
        })
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn expiry(&self) -> Duration {
        self.expiry
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The commands of the load, each with the key of this text.
    pub(super) fn get_words(&self, key: &str) -> Vec<String> {
        vec!["GET".into(), format!("{}{key}", self.prefix)]
    }

    /// As [`get_words`](Self::get_words).
    pub(super) fn set_words(&self, key: &str) -> Vec<String> {
        vec![
            "SET".into(),
            format!("{}{key}", self.prefix),
            self.value.to_string(),
            "EX".into(),
            self.expiry.as_secs().to_string(),
        ]
    }

    pub(super) fn get(&self, number: u32) -> Cmd {
        cmd("GET").arg(self.name(number)).take()
    }

    pub(super) fn set(&self, number: u32) -> Cmd {
        let mut command = cmd("SET");
        command.arg(self.name(number)).arg(&*self.value);
        command.arg("EX").arg(self.expiry.as_secs());
        command
    }

    /// Writes all of them, so that each read finds a value, or fewer if the run is halted.
    pub(super) async fn fill(&self, database: &Database, halt: &Halt) -> Result<(), Error> {
        for lot in self.lots() {
            if halt.is_asked() {
                return Ok(());
            }
            let mut pipeline = pipe();
            for number in lot {
                pipeline.add_command(self.set(number));
            }
            database.pipeline::<Value>(&pipeline).await?;
        }
        Ok(())
    }

    /// Removes all of them. Nothing is searched for, so that no other key is looked at.
    ///
    /// It goes over them until it finds none: the server may still be carrying out what a redis-benchmark has sent that was
    /// ended early, or a write that was given up.
    pub(super) async fn remove(&self, database: &Database) -> Result<(), Error> {
        while self.remove_once(database).await? > 0 {}
        Ok(())
    }

    /// Returns how many there were.
    async fn remove_once(&self, database: &Database) -> Result<u64, Error> {
        // It may run twice, and waits for a server that is about to come back.
        let database = database.idempotent().patient();
        let database = database.with_timeout(REMOVAL_TIMEOUT);
        let mut removed = 0;
        for lot in self.lots() {
            let mut command = cmd("UNLINK");
            for number in lot {
                command.arg(self.name(number));
            }
            removed += database.query::<u64>(command).await?;
        }
        Ok(removed)
    }

    fn lots(&self) -> impl Iterator<Item = std::ops::Range<u32>> {
        let lot = (LOT_BYTES / (self.value.len() as u32).max(1)).clamp(1, LOT);
        let begins = (0..self.count).step_by(lot as usize);
        begins.map(move |begin| begin..self.count.min(begin.saturating_add(lot)))
    }

    /// With twelve digits, as redis-benchmark writes numbers.
    fn name(&self, number: u32) -> String {
        format!("{}{number:012}", self.prefix)
    }
}
