//! Callers that count up one key all the time, and remember what they were told.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use redis::cmd;
use redis_steward::{Database, Execution};
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
    /// The values in the order of their replies.
    pub(crate) values: Vec<i64>,
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
                    let result = database.query::<i64>(cmd("INCR").arg(KEY)).await;
                    let mut told = told.lock().unwrap();
                    match result {
                        Ok(value) => told.values.push(value),
                        Err(error) if error.execution() == Execution::Unknown => told.unknown += 1,
                        Err(error) => told.refusals.push(error.to_string()),
                    }
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
    /// Nothing that was counted since `switched` replies is lost or doubled, at a server that has this value now. A reply
    /// of before the switch may have been on its way.
    pub(crate) fn judge(&self, switched: usize, value: i64) {
        assert_eq!(self.refusals, Vec::<String>::new());
        let most = self.values.len() + self.unknown;
        assert!(
            value <= i64::try_from(most).expect("few"),
            "{value} of {most}"
        );
        let mut since = self.values[switched..].to_vec();
        since.sort_unstable();
        let are_distinct = since.windows(2).all(|pair| pair[0] != pair[1]);
        assert!(are_distinct, "{since:?}");
        assert!(since.last().is_some_and(|last| *last <= value));
    }
}
