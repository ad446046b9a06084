//! The callers of a run.

use std::time::Duration;

use redis_steward::Database;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{halt::Halt, keys::Keys};
use crate::arguments::BenchArguments;

/// Callers that each send one command after the other, for a time or until they are halted.
#[derive(Debug)]
pub(super) struct Load<'a> {
    database: &'a Database,
    keys: &'a Keys,
    arguments: &'a BenchArguments,
    halt: &'a Halt,
}

impl<'a> Load<'a> {
    pub(super) fn new(
        database: &'a Database,
        keys: &'a Keys,
        arguments: &'a BenchArguments,
        halt: &'a Halt,
    ) -> Self {
        Self {
            database,
            keys,
            arguments,
            halt,
        }
    }

    /// The statistics of the database count what happens meanwhile. When it returns, no caller waits for a reply.
    pub(super) async fn run(&self) {
        let deadline = Instant::now() + self.arguments.seconds;
        let mut callers = JoinSet::new();
        for _ in 0..self.arguments.clients.get() {
            let reads = self.arguments.reads;
            let (database, keys) = (self.database.clone(), self.keys.clone());
            let halt = self.halt.clone();
            callers.spawn(async move {
                while Instant::now() < deadline && !halt.is_asked() {
                    call(&database, &keys, reads).await;
                }
            });
        }
        callers.join_all().await;
    }
}

async fn call(database: &Database, keys: &Keys, reads: u8) {
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
