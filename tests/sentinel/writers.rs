//! Callers that count up one key all the time, and remember what they were told.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use redis::cmd;
use redis_steward::{Database, Error, Execution};
use tokio::task::JoinHandle;

use crate::{SOON, common::eventually_async};

pub(crate) const KEY: &str = "count";

pub(crate) struct Writers {
    told: Arc<Mutex<Told>>,
    is_over: Arc<AtomicBool>,
    callers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
pub(crate) struct Told {
    /// The values, and when their calls began.
    pub(crate) values: Vec<(Instant, i64)>,
    /// The errors of calls that may have run.
    pub(crate) unknown: usize,
    /// Any other error.
    pub(crate) refusals: Vec<String>,
}

impl Writers {
    pub(crate) fn on(database: &Database) -> Self {
        let (told, is_over) = (Arc::<Mutex<Told>>::default(), Arc::<AtomicBool>::default());
        let caller = |_| {
            let (told, is_over) = (told.clone(), is_over.clone());
            let database = database.not_idempotent();
            tokio::spawn(async move {
                while !is_over.load(SeqCst) {
                    let began = Instant::now();
                    let result = database.query::<i64>(cmd("INCR").arg(KEY)).await;
                    told.lock().unwrap().note(began, result);
                    // The sentinels need some of the machine as well.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        };
        Self {
            callers: (0..8).map(caller).collect(),
            told,
            is_over,
        }
    }

    /// The number of replies so far.
    pub(crate) fn replies(&self) -> usize {
        self.told.lock().unwrap().values.len()
    }

    /// Waits until a hundred more calls have succeeded.
    pub(crate) async fn go_on(&self) {
        let before = self.replies();
        let goes_on = || self.replies() >= before + 100;
        eventually_async(SOON, "calls succeed", goes_on).await;
    }

    pub(crate) async fn end(self) -> Told {
        self.is_over.store(true, SeqCst);
        for caller in self.callers {
            caller.await.expect("a caller without a panic");
        }
        std::mem::take(&mut *self.told.lock().unwrap())
    }
}

impl Told {
    fn note(&mut self, began: Instant, result: Result<i64, Error>) {
        match result {
            Ok(value) => self.values.push((began, value)),
            Err(error) if error.execution() == Execution::Unknown => self.unknown += 1,
            Err(error) => self.refusals.push(error.to_string()),
        }
    }

    /// Nothing that was counted by calls since this moment is lost or doubled, at a server that has this value now.
    pub(crate) fn judge(&self, switched: Instant, value: i64) {
        assert_eq!(self.refusals, Vec::<String>::new());
        let most = self.values.len() + self.unknown;
        assert!(
            value <= i64::try_from(most).expect("few"),
            "{value} of {most}"
        );
        let since = self.values.iter().filter(|(began, _)| *began > switched);
        let mut since: Vec<_> = since.map(|(_, value)| *value).collect();
        since.sort_unstable();
        let are_distinct = since.windows(2).all(|pair| pair[0] != pair[1]);
        assert!(are_distinct, "{since:?}");
        assert_eq!(since.last(), Some(&value), "the last count is there");
    }
}
