//! The activity that a connection publishes.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::net::client_id::ClientId;

/// The time of a connection's last use, which the pool reads when the janitor sweeps; the number of its
/// outstanding requests, by which callers choose among shared connections; and, of a connection on which
/// commands block, the name by which the server knows it.
#[derive(Debug)]
pub(crate) struct Activity {
    start: Instant,
    last_us: AtomicU64,
    outstanding: AtomicUsize,
    is_blocked: AtomicBool,
    /// The server moves, and slow replies are no fault until then; 0 at all other times.
    moves_until_us: AtomicU64,
    /// The same because of work that was announced on the connection.
    works_until_us: AtomicU64,
    has_asked: AtomicBool,
    /// The server's answer; `None` if it did not say.
    client_id: OnceLock<Option<ClientId>>,
}

impl Activity {
    pub(crate) fn starting(now: Instant) -> Self {
        Self {
            start: now,
            last_us: AtomicU64::new(0),
            outstanding: AtomicUsize::new(0),
            is_blocked: AtomicBool::new(false),
            moves_until_us: AtomicU64::new(0),
            works_until_us: AtomicU64::new(0),
            has_asked: AtomicBool::new(false),
            client_id: OnceLock::new(),
        }
    }

    pub(super) fn mark(&self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.start).as_micros() as u64;
        self.last_us.store(elapsed, Relaxed);
    }

    pub(crate) fn set_outstanding(&self, requests: usize) {
        self.outstanding.store(requests, Relaxed);
    }

    /// Requests that were taken and not answered at the end of its last turn.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.load(Relaxed)
    }

    pub(super) fn set_blocked(&self, is_blocked: bool) {
        self.is_blocked.store(is_blocked, Relaxed);
    }

    /// Whether a command that may block is outstanding.
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked.load(Relaxed)
    }

    /// Replies may take longer than usual until then, because the server moves.
    pub(crate) fn relax(&self, until: Instant) {
        self.moves_until_us.store(self.since_start(until), Relaxed);
    }

    /// The same because of announced work; `None` ends it.
    pub(super) fn note_works(&self, until: Option<Instant>) {
        let until = until.map_or(0, |until| self.since_start(until));
        self.works_until_us.store(until, Relaxed);
    }

    fn since_start(&self, until: Instant) -> u64 {
        until.saturating_duration_since(self.start).as_micros() as u64
    }

    /// Until when replies may take longer than usual. It may be over.
    pub(crate) fn relaxed_until(&self) -> Instant {
        let moves = self.moves_until_us.load(Relaxed);
        let works = self.works_until_us.load(Relaxed);
        self.start + Duration::from_micros(moves.max(works))
    }

    pub(super) fn is_relaxed(&self, now: Instant) -> bool {
        now < self.relaxed_until()
    }

    /// Notes that the server is asked for the name of this connection. Tells whether it is the first time.
    pub(super) fn ask(&self) -> bool {
        !self.has_asked.swap(true, Relaxed)
    }

    pub(super) fn introduce(&self, client_id: Option<ClientId>) {
        // It is asked once, so there is one answer.
        let _ = self.client_id.set(client_id);
    }

    /// The name by which the server knows this connection, if it has said it.
    pub(crate) fn client_id(&self) -> Option<&ClientId> {
        self.client_id.get()?.as_ref()
    }

    /// Whether the server was asked for that name and does not say it.
    pub(crate) fn was_refused_introduction(&self) -> bool {
        self.client_id.get().is_some_and(Option::is_none)
    }

    /// Whether the server was asked for that name and has not answered.
    pub(crate) fn awaits_introduction(&self) -> bool {
        self.has_asked.load(Relaxed) && self.client_id.get().is_none()
    }

    pub(crate) fn last(&self) -> Instant {
        self.start + Duration::from_micros(self.last_us.load(Relaxed))
    }
}
