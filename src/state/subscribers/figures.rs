//! The counters of the subscribers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Subscribers;
use crate::stats::SubscriptionStats;

#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) messages: AtomicU64,
    /// Each once for each subscriber that listens.
    pub(super) copies: AtomicU64,
    /// Those of them that had no room.
    pub(super) dropped: AtomicU64,
    pub(super) opened: AtomicU64,
    pub(super) dial_failures: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) refused: AtomicU64,
}

impl Subscribers {
    /// A snapshot.
    pub(crate) fn stats(&self) -> SubscriptionStats {
        let room = self.room();
        let figures = &self.figures;
        // Before the copies, so that these are not fewer.
        let dropped = figures.dropped.load(Relaxed);
        SubscriptionStats {
            connections: usize::from(room.is_connected),
            subscribers: room.queues.len(),
            topics: room.subscriptions.topics(),
            messages: figures.messages.load(Relaxed),
            delivered: figures.copies.load(Relaxed).saturating_sub(dropped),
            dropped,
            gaps: room.gaps,
            refused: figures.refused.load(Relaxed),
            opened: figures.opened.load(Relaxed),
            dial_failures: figures.dial_failures.load(Relaxed),
            lost: figures.lost.load(Relaxed),
        }
    }
}
