//! A server's endpoint that several databases share, and so the question whether anything answers there.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::{events::Reason, policy::backoff::Backoff};

/// The databases that wait for an answer from one endpoint, and the time when it is asked next, once for
/// all of them.
///
/// `K` is the key of a database. The endpoint does not know its own key: it may be an address, or
/// anything else that leads to one server.
#[derive(Debug)]
pub(crate) struct Endpoint<K> {
    backoff: Backoff,
    waiting: BTreeSet<K>,
    /// When it is asked next, or was asked last while the answer is outstanding. There is a time as long
    /// as any database waits.
    next_check: Option<Instant>,
}

/// Databases that wait for the same endpoint dial within this time for each of them, so that they do
/// not all dial in the same millisecond.
const SPREAD_PER_DATABASE: Duration = Duration::from_millis(1);
const MAX_SPREAD: Duration = Duration::from_secs(1);

impl<K: Ord> Endpoint<K> {
    pub(crate) fn new() -> Self {
        Self {
            backoff: Backoff::default(),
            waiting: BTreeSet::new(),
            next_check: None,
        }
    }

    /// A database waits for an answer. Returns when the endpoint is asked next, and the pause before
    /// that if asking it is to be started.
    pub(crate) fn wait(
        &mut self,
        database: K,
        now: Instant,
        jitter: f64,
    ) -> (Instant, Option<Duration>) {
        self.waiting.insert(database);
        match self.next_check {
            Some(at) => (at, None),
            None => {
                let pause = self.ask(now, jitter);
                (now + pause, Some(pause))
            }
        }
    }

    /// The server was reached on behalf of this database, without asking the endpoint.
    pub(crate) fn reached(&mut self, database: &K) {
        self.backoff.reset();
        self.waiting.remove(database);
    }

    /// The database does not wait any more: it is elsewhere, or gone.
    pub(crate) fn forget(&mut self, database: &K) {
        self.waiting.remove(database);
    }

    /// Whether no database waits for it, and it is not asked.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.next_check.is_none()
    }

    /// Something answers. Returns the databases that waited, and the pause after which each tries again.
    pub(crate) fn answered(
        &mut self,
        mut jitter: impl FnMut() -> f64,
    ) -> impl Iterator<Item = (K, Duration)> {
        self.next_check = None;
        let waiting = std::mem::take(&mut self.waiting);
        let databases = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
        let spread = if databases == 1 {
            Duration::ZERO
        } else {
            SPREAD_PER_DATABASE
                .saturating_mul(databases)
                .min(MAX_SPREAD)
        };
        let pause = move |database| (database, spread.mul_f64(jitter()));
        waiting.into_iter().map(pause)
    }

    /// Nothing answers. Returns the pause before it is asked again, if any database still waits.
    pub(crate) fn failed(&mut self, now: Instant, jitter: f64) -> Option<Duration> {
        self.next_check = None;
        (!self.waiting.is_empty()).then(|| self.ask(now, jitter))
    }

    /// The databases that wait.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &K> {
        self.waiting.iter()
    }

    fn ask(&mut self, now: Instant, jitter: f64) -> Duration {
        let pause = self.backoff.pause(Reason::Unreachable, jitter);
        self.next_check = Some(now + pause);
        pause
    }
}
