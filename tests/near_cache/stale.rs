//! Readers and writers at random, while connections break: no read is older than what its caller knows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use redis::cmd;
use redis_steward::Database;

use crate::{Rig, SOON};

const KEYS: usize = 4;

/// What writers have been told: no later read may be older.
type Known = Arc<[AtomicU64; KEYS]>;

async fn write(database: Database, known: Known, is_over: Arc<AtomicBool>) {
    while !is_over.load(SeqCst) {
        let at = fastrand::usize(..KEYS);
        let counted: Result<u64, _> = database.query(cmd("INCR").arg(format!("k{at}"))).await;
        // An error may have counted or not.
        if let Ok(count) = counted {
            known[at].fetch_max(count, SeqCst);
        }
        if fastrand::u8(..) < 64 {
            tokio::time::sleep(Duration::from_micros(fastrand::u64(..500))).await;
        }
    }
}

/// Returns the number of reads.
async fn read(database: Database, known: Known, is_over: Arc<AtomicBool>) -> u64 {
    let mut reads = 0;
    while !is_over.load(SeqCst) {
        let at = fastrand::usize(..KEYS);
        let least = known[at].load(SeqCst);
        let key = format!("k{at}");
        let value = match fastrand::u8(..4) {
            0 => {
                let mget = cmd("MGET").arg(&key).arg("none").take();
                let values = database.query::<Vec<Option<u64>>>(&mget).await;
                values.map(|values| values[0])
            }
            _ => database.query::<Option<u64>>(cmd("GET").arg(&key)).await,
        };
        if let Ok(value) = value {
            reads += 1;
            let value = value.unwrap_or_default();
            assert!(
                value >= least,
                "{key}: {value} was read after {least} was known"
            );
        }
        tokio::task::yield_now().await;
    }
    reads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_163_no_read_is_older_than_what_its_caller_knows() {
    let rig = Rig::start().await;
    let known: Known = Arc::default();
    let is_over = Arc::<AtomicBool>::default();
    let writers: Vec<_> = (0..3)
        .map(|_| tokio::spawn(write(rig.cached.clone(), known.clone(), is_over.clone())))
        .collect();
    let readers: Vec<_> = (0..4)
        .map(|_| tokio::spawn(read(rig.cached.clone(), known.clone(), is_over.clone())))
        .collect();
    for _ in 0..20 {
        let hits = rig.figures().hits;
        let more = || rig.figures().hits > hits + 100;
        crate::common::eventually_async(SOON, "it is hit", more).await;
        match fastrand::u8(..3) {
            0 => rig.server.cli(&["CLIENT", "KILL", "TYPE", "normal"]),
            // Nothing changes, but everything is invalidated.
            1 => rig
                .server
                .cli(&["CONFIG", "SET", "tracking-table-max-keys", "1"]),
            _ => rig.server.cli(&["PING"]),
        };
    }
    is_over.store(true, SeqCst);
    for writer in writers {
        writer.await.expect("no panic");
    }
    let mut reads = 0;
    for reader in readers {
        reads += reader.await.expect("no read was too old");
    }
    let figures = rig.figures();
    assert!(
        reads > 1_000 && figures.hits > 1_000,
        "{reads} reads, {figures:?}"
    );
    rig.stop().await;
}
