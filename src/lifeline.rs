//! What keeps a supervisor running, and what its end reports.

use std::{
    sync::{Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::watch;

use crate::messages::{Shutdown, SupervisorLink};

/// What a shutdown found and left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Commands that were under way and got their reply within the grace.
    pub completed: u64,
    /// Commands that were under way and did not, though their callers waited. Each caller was told
    /// whether its command may have been executed.
    pub unfinished: u64,
}

/// Keeps the supervisor running as long as any handle lives.
#[derive(Debug)]
pub(crate) struct Lifeline {
    pub(crate) link: SupervisorLink,
    report: watch::Receiver<Option<ShutdownReport>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Lifeline {
    pub(crate) fn new(
        link: SupervisorLink,
        report: watch::Receiver<Option<ShutdownReport>>,
    ) -> Self {
        Self {
            link,
            report,
            thread: Mutex::new(None),
        }
    }

    /// A shutdown joins this thread.
    pub(crate) fn joins(&mut self, thread: JoinHandle<()>) {
        self.thread = Mutex::new(Some(thread));
    }

    pub(crate) async fn shutdown(&self, grace: Duration) -> ShutdownReport {
        self.link.shutdown.do_send(Shutdown { grace });
        let mut report = self.report.clone();
        let report = match report.wait_for(Option::is_some).await {
            Ok(report) => report.unwrap_or_default(),
            // The thread has panicked; it has nothing to report.
            Err(_) => ShutdownReport::default(),
        };
        // Held while it is joined, so that whoever returns from here finds the thread gone. It has
        // reported as its last act, so that takes no longer than its exit.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // A panic in it has been printed already.
            let _ = thread.join();
        }
        report
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        // Nobody is left to wait for a reply.
        let grace = Duration::ZERO;
        self.link.shutdown.do_send(Shutdown { grace });
    }
}
