//! What handlers did, and the streams that they work on.

use std::{
    collections::BTreeMap,
    num::{NonZeroU64, NonZeroUsize},
    sync::{Arc, Mutex},
    time::Duration,
};

use redis_steward::{ConsumerBuilder, Database, StartFrom, StreamEntry};

use crate::common::{Rig, older_than, words};

/// A deadline with slack for everything that takes milliseconds.
pub(crate) const SOON: Duration = Duration::from_secs(60);
pub(crate) const STREAM: &str = "orders";
pub(crate) const DEAD: &str = "orders:dead";

/// The numbers of the entries that were handled, in order.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Vec<u64>>>);

impl Record {
    pub(crate) fn note(&self, entry: &StreamEntry) {
        self.0.lock().expect("a record").push(number(entry));
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.0.lock().expect("a record").clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().expect("a record").len()
    }

    /// How often each entry was handled.
    pub(crate) fn times(&self) -> BTreeMap<u64, usize> {
        let mut times = BTreeMap::new();
        for number in self.numbers() {
            *times.entry(number).or_default() += 1;
        }
        times
    }
}

pub(crate) fn number(entry: &StreamEntry) -> u64 {
    let number = entry.text("number").expect("a number");
    number.parse().expect("a number")
}

/// Whether the server lacks what consumers need.
pub(crate) fn lacks_claims() -> bool {
    older_than(6, 2, "XAUTOCLAIM")
}

/// Adds entries with these numbers, in one transaction.
pub(crate) async fn add(database: &Database, numbers: impl IntoIterator<Item = u64>) {
    let mut adds = redis::pipe();
    for number in numbers {
        adds.cmd("XADD").arg(STREAM).arg("*");
        adds.arg("number").arg(number);
        adds.arg("key").arg(number % 3);
    }
    let patient = database.patient().with_timeout(SOON);
    let added = patient.pipeline::<()>(adds.atomic()).await;
    added.expect("entries that are added");
}

/// A consumer with a short idle time, which creates its group.
pub(crate) fn quick(database: &Database) -> ConsumerBuilder {
    database
        .consumer(STREAM, "billing")
        .create_group(StartFrom::Beginning)
        .claim_idle(Duration::from_millis(300))
}

pub(crate) fn many(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("not zero")
}

pub(crate) fn times(count: u64) -> NonZeroU64 {
    NonZeroU64::new(count).expect("not zero")
}

/// How many entries are pending in the group, for whichever consumer.
pub(crate) async fn pending(database: &Database) -> u64 {
    let database = database.patient().with_timeout(SOON);
    let pending = database.query(words("XPENDING orders billing")).await;
    let (pending, _, _, _): (u64, redis::Value, redis::Value, redis::Value) =
        pending.expect("a group");
    pending
}

/// Checks that nothing is pending, and that no consumer is left.
pub(crate) async fn assert_done(rig: &Rig) {
    assert_eq!(pending(&rig.main).await, 0);
    let consumers = rig.server.cli(&["XINFO", "CONSUMERS", STREAM, "billing"]);
    assert_eq!(consumers, "", "no consumer is left");
}
