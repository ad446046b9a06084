//! The callers of a run.

use std::time::Duration;

use redis_steward::Database;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::keys::Keys;
use crate::arguments::BenchArguments;

/// Callers that each send one command after the other, for a time.
#[derive(Debug)]
pub(super) struct Load<'a> {
    database: &'a Database,
    keys: &'a Keys,
    arguments: &'a BenchArguments,
}

impl<'a> Load<'a> {
    pub(super) fn new(
        database: &'a Database,
        keys: &'a Keys,
        arguments: &'a BenchArguments,
    ) -> Self {
        Self {
            database,
            keys,
            arguments,
        }
    }

    /// The statistics of the database count what happens meanwhile.
    pub(super) async fn run(&self) {
        let deadline = Instant::now() + self.arguments.seconds;
        let mut callers = JoinSet::new();
        for _ in 0..self.arguments.clients.get() {
            let reads = self.arguments.reads;
            let (database, keys) = (self.database.clone(), self.keys.clone());
            callers.spawn(call(database, keys, reads, deadline));
        }
        callers.join_all().await;
    }
}

async fn call(database: Database, keys: Keys, reads: u8, deadline: Instant) {
    while Instant::now() < deadline {
        let key = fastrand::u32(0..keys.count());
        let command = if fastrand::u8(0..100) < reads {
            keys.get(key)
        } else {
            keys.set(key)
        };
        if database.execute(&command).await.is_err() {
            // Refused calls return at once, and a loop of them would keep all threads busy.
            sleep(Duration::from_millis(10)).await;
        }
    }
}
