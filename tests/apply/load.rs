//! Callers that use a database all the time, and remember the first call that fails.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use redis::{cmd, pipe};
use redis_steward::{Database, Error};
use tokio::task::JoinHandle;

use crate::common::eventually_async;

const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Load {
    calls: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    callers: Vec<JoinHandle<Result<(), Error>>>,
}

impl Load {
    /// Commands and pipelines on the shared connections, leases and commands that block.
    pub(crate) fn on(database: &Database) -> Self {
        let mut load = Self::shared(database);
        load.add(database, |main| async move {
            let mut lease = main.lease().await?;
            lease.query::<()>(cmd("SET").arg("lease").arg(1)).await?;
            lease.query::<()>(cmd("GET").arg("lease")).await
        });
        load.add(database, |main| async move {
            let waited: Option<(String, String)> =
                main.query(cmd("BLPOP").arg("nothing").arg(0.005)).await?;
            assert_eq!(waited, None);
            Ok(())
        });
        load
    }

    /// Commands and pipelines on the shared connections.
    pub(crate) fn shared(database: &Database) -> Self {
        let mut load = Self {
            calls: Arc::default(),
            is_over: Arc::default(),
            callers: Vec::new(),
        };
        for _ in 0..4 {
            load.add(database, |main| async move {
                main.query::<()>(cmd("INCR").arg("calls")).await
            });
            load.add(database, |main| async move {
                main.pipeline::<()>(pipe().set("a", 1).ignore().get("a").ignore())
                    .await
            });
        }
        load
    }

    fn add<F: Future<Output = Result<(), Error>> + Send + 'static>(
        &mut self,
        database: &Database,
        call: impl Fn(Database) -> F + Send + 'static,
    ) {
        let (calls, is_over) = (self.calls.clone(), self.is_over.clone());
        let database = database.clone();
        self.callers.push(tokio::spawn(async move {
            while !is_over.load(SeqCst) {
                call(database.clone()).await?;
                calls.fetch_add(1, Relaxed);
                // A test has few threads.
                tokio::task::yield_now().await;
            }
            Ok(())
        }));
    }

    /// Waits until many calls have begun and ended.
    pub(crate) async fn goes_on(&self) {
        let before = self.calls.load(Relaxed);
        let goes_on = || {
            let has_failed = self.callers.iter().any(JoinHandle::is_finished);
            has_failed || self.calls.load(Relaxed) > before + 100
        };
        eventually_async(SOON, "calls go on", goes_on).await;
    }

    /// No call has failed.
    pub(crate) async fn end(self) -> u64 {
        self.is_over.store(true, SeqCst);
        for caller in self.callers {
            if let Err(error) = caller.await.expect("no caller panics") {
                panic!("after {} calls: {error}", self.calls.load(Relaxed));
            }
        }
        self.calls.load(Relaxed)
    }
}
