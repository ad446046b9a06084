//! The lifeline that keeps a supervisor running, and the report of its shutdown.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

use crate::{
    call::CallEngine,
    health_check::{Answers, HealthCheck},
    log::log_line,
    messages::{CheckHealth, Replicate, Shutdown, SupervisorLink},
    near::Keeping,
    registry::Registry,
    state::DatabaseState,
};

/// The result of [`Supervisor::shutdown`](crate::Supervisor::shutdown): the fate of the commands that
/// were in flight when it began, over all databases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Commands that got their reply within the grace. Error replies count.
    pub completed: u64,
    /// Commands that did not, although their callers waited. Each caller got an error that tells whether
    /// its command may have run; see [`Error::execution`](crate::Error::execution).
    pub unfinished: u64,
}

/// Keeps the supervisor running as long as any handle exists. Dropping the last clone stops it.
#[derive(Debug)]
pub(crate) struct Lifeline {
    pub(crate) link: SupervisorLink,
    pub(crate) registry: Arc<Registry>,
    report: watch::Receiver<Option<ShutdownReport>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Lifeline {
    pub(crate) fn new(
        link: SupervisorLink,
        registry: Arc<Registry>,
        report: watch::Receiver<Option<ShutdownReport>>,
    ) -> Self {
        Self {
            link,
            registry,
            report,
            thread: Mutex::new(None),
        }
    }

    /// The actor thread, which a shutdown joins.
    pub(crate) fn joins(&mut self, thread: JoinHandle<()>) {
        self.thread = Mutex::new(Some(thread));
    }

    /// Asks the server of a database how it is, for so long.
    pub(crate) async fn check(&self, database: &DatabaseState, within: Duration) -> HealthCheck {
        let id = database.id.clone();
        let asked = timeout(within, self.link.check.send(CheckHealth { database: id }));
        let answers = match asked.await {
            Ok(Ok(Some(answers))) => answers,
            Ok(_) => Answers::missing(
                "the check was cut short: the database was removed, or the supervisor was shut down",
            ),
            Err(_) => Answers::missing("no answer in time"),
        };
        let (state, circuit) = self.registry.present_state(database);
        HealthCheck {
            database: database.name(),
            state,
            circuit,
            ping: answers.ping,
            server: answers.server,
            error: answers.error,
            pool: database.pool_stats(),
        }
    }

    /// Has the replicas looked at of the databases that want it.
    pub(crate) fn replicate(&self) {
        self.link.replicate.do_send(Replicate);
    }

    /// Has a task keep the near cache of a database alive.
    pub(crate) fn keep_near_cache(&self, engine: &CallEngine) {
        let Some(keeping) = Keeping::of(engine) else {
            return;
        };
        let task = self.registry.until_stopped(keeping.run());
        // Apart from the application, whose runtime may end before.
        if let Err(error) = self.registry.executor.spawn_apart(task) {
            // Reads go to the server.
            log_line!(self.registry.log, WARN, %error, "there is no near cache");
        }
    }

    pub(crate) async fn shutdown(&self, grace: Duration) -> ShutdownReport {
        self.link.shutdown.do_send(Shutdown { grace });
        let mut report = self.report.clone();
        let report = match report.wait_for(Option::is_some).await {
            Ok(report) => report.unwrap_or_default(),
            // The thread has panicked and has no report.
            Err(_) => ShutdownReport::default(),
        };
        // The lock is held during the join, so that the thread is gone for every caller that returns
        // from here. The thread reports as its last act, so the join is short.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // Its panic has been printed already.
            let _ = thread.join();
        }
        report
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        // No caller is left to wait for a reply.
        let grace = Duration::ZERO;
        self.link.shutdown.do_send(Shutdown { grace });
    }
}
