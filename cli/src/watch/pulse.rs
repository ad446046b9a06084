//! The calls of a watch. Without them it would have no latency to show.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redis_steward::{
    Database, Error, Supervisor,
    redis::{Value, cmd},
};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

/// How often servers are asked for their load.
const LOAD_INTERVAL: Duration = Duration::from_secs(1);

/// Pings each database, and asks each server for its load, until it is dropped.
#[derive(Debug)]
pub(super) struct Pulse {
    loads: Loads,
    _tasks: JoinSet<()>,
}

/// Commands per second of all clients of a server, by the name of the database; only of servers that tell.
type Loads = Arc<Mutex<BTreeMap<String, u64>>>;

impl Pulse {
    pub(super) fn start(supervisor: &Supervisor, every: Duration) -> Result<Self, Error> {
        let loads = Loads::default();
        let mut tasks = JoinSet::new();
        for name in supervisor.databases() {
            // A view shows an outage, and does not wait for its end.
            let database = supervisor.database(&*name)?.impatient();
            tasks.spawn(ping(database.clone(), every));
            tasks.spawn(ask_for_load(database, loads.clone()));
        }
        Ok(Self {
            loads,
            _tasks: tasks,
        })
    }

    pub(super) fn load(&self, database: &str) -> Option<u64> {
        let loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        loads.get(database).copied()
    }
}

async fn ping(database: Database, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Failures are in the statistics, which is where the view reads them.
        let _ = database.execute(&cmd("PING")).await;
    }
}

async fn ask_for_load(database: Database, loads: Loads) {
    let mut ticks = interval(LOAD_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let answer = database.execute(cmd("INFO").arg("stats")).await;
        let load = answer.ok().as_ref().and_then(load);
        let mut loads = loads.lock().unwrap_or_else(PoisonError::into_inner);
        match load {
            Some(load) => loads.insert(database.name().to_owned(), load),
            None => loads.remove(database.name()),
        };
    }
}

fn load(answer: &Value) -> Option<u64> {
    let text = match answer {
        Value::BulkString(bytes) => str::from_utf8(bytes).ok()?,
        Value::VerbatimString { text, .. } => text,
        _ => return None,
    };
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix("instantaneous_ops_per_sec:"))?;
    value.trim().parse().ok()
}
