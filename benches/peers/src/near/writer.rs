//! Another connection, which changes one key after the other, on a thread of its own beside the measured runtime.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use redis::Connection;

use crate::{
    address::Address,
    dataset::{Records, changed},
    peer::expect,
};

/// From one change to the next.
const EVERY: Duration = Duration::from_millis(1);

pub struct Writer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Writer {
    pub fn start(address: &Address, records: &Arc<[Records]>) -> Result<Self> {
        let connection = redis::Client::open(address.url())?.get_connection();
        let connection = connection.context("connecting to change keys")?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, records) = (stop.clone(), records.clone());
        let thread = thread::spawn(move || change(connection, &records[0], &stopped));
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Waits for the reply to the last change.
    pub fn end(mut self) -> Result<()> {
        self.stop().context("changing keys")
    }

    fn stop(&mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        ended
            .unwrap_or(Ok(Ok(())))
            .unwrap_or_else(|_| Err(anyhow!("the thread that changes keys has panicked")))
    }
}

/// Where a turn is given up it changes nothing behind the next one.
impl Drop for Writer {
    fn drop(&mut self) {
        // The turn has failed already.
        let _ = self.stop();
    }
}

fn change(mut connection: Connection, set: &Records, stop: &AtomicBool) -> Result<()> {
    let changes = set.changes.iter();
    let before: u32 = changes.map(|changes| changes.load(Ordering::SeqCst)).sum();
    // It goes on where the one before it has ended.
    let first = before as usize % set.keys.len();
    let mut next = Instant::now();
    for place in (0..set.keys.len()).cycle().skip(first) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        // Before the server has it, so that nobody can read what is not counted yet.
        let changes = set.changes[place].fetch_add(1, Ordering::SeqCst) + 1;
        let value = changed(place, changes);
        let reply: redis::Value = redis::cmd("SET")
            .arg(&set.keys[place])
            .arg(&value[..])
            .query(&mut connection)?;
        expect(redis::Value::Okay, reply)?;
        next = (next + EVERY).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}
