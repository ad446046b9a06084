//! What happened between two snapshots.

use super::{
    ConsumerTotals, DatabaseStats, Evictions, FallbackStats, PoolStats, SubscriptionStats,
    SupervisorStats,
};
use crate::events::Recovery;

impl SupervisorStats {
    /// What happened after an `earlier` snapshot of the same supervisor: the counters, histograms and times of each
    /// database are those of the interval, and values of a moment, such as the health or the connections that are
    /// open, are from the later snapshot. A database that was added in between counts from its begin; what was counted
    /// of one between the earlier snapshot and its removal is in no interval.
    ///
    /// ```
    /// # async fn example(supervisor: &redis_steward::Supervisor) {
    /// # use std::time::Duration;
    /// let before = supervisor.statistics();
    /// tokio::time::sleep(Duration::from_secs(10)).await;
    /// let interval = supervisor.statistics().since(&before);
    /// println!("{} commands in {:?}", interval.commands(), interval.uptime);
    /// # }
    /// ```
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let databases = self.databases.iter().map(|(name, later)| {
            let interval = match earlier.databases.get(name) {
                // One that was removed and added again begins anew.
                Some(earlier) if earlier.id == later.id => later.since(earlier),
                _ => later.clone(),
            };
            (name.clone(), interval)
        });
        Self {
            uptime: self.uptime.saturating_sub(earlier.uptime),
            databases: databases.collect(),
        }
    }
}

#[cfg(feature = "metrics")]
impl SupervisorStats {
    /// Where a counter has been put back, keeps what was handed over before, so that the rest is not handed over twice.
    pub(crate) fn keep_handed_over(&mut self, before: &Self) {
        for (name, stats) in &mut self.databases {
            if let Some(before) = before
                .databases
                .get(name)
                .filter(|before| before.id == stats.id)
            {
                stats.timed_out = stats.timed_out.max(before.timed_out);
                stats.refused = stats.refused.max(before.refused);
            }
        }
    }
}

impl DatabaseStats {
    /// What happened after an `earlier` snapshot of the same database: see [`SupervisorStats::since`].
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let later = self;
        Self {
            id: later.id.clone(),
            replica_of: later.replica_of.clone(),
            node_of: later.node_of.clone(),
            encryption: later.encryption,
            health: later.health.clone(),
            health_for: later.health_for,
            cause: later.cause.clone(),
            circuit: later.circuit,
            trips: less(later.trips, earlier.trips),
            circuit_changes: less(later.circuit_changes, earlier.circuit_changes),
            events: less(later.events, earlier.events),
            time_in: later.time_in.since(&earlier.time_in),
            latency: later.latency.since(&earlier.latency),
            bytes_sent: less(later.bytes_sent, earlier.bytes_sent),
            bytes_received: less(later.bytes_received, earlier.bytes_received),
            last_error: later
                .last_error
                .clone()
                .filter(|last| earlier.last_error.as_ref() != Some(last)),
            succeeded: less(later.succeeded, earlier.succeeded),
            error_replies: less(later.error_replies, earlier.error_replies),
            timed_out: less(later.timed_out, earlier.timed_out),
            lost: less(later.lost, earlier.lost),
            cancelled: less(later.cancelled, earlier.cancelled),
            refused: less(later.refused, earlier.refused),
            retried: less(later.retried, earlier.retried),
            retries_denied: less(later.retries_denied, earlier.retries_denied),
            slow: less(later.slow, earlier.slow),
            in_flight: later.in_flight,
            in_flight_bytes: later.in_flight_bytes,
            fallback: later.fallback.since(&earlier.fallback),
            near_cache: later
                .near_cache
                .as_ref()
                .map(|cache| cache.since(earlier.near_cache.as_ref())),
            subscriptions: later.subscriptions.since(&earlier.subscriptions),
            consumers: later.consumers.since(&earlier.consumers),
            pool: later.pool.since(&earlier.pool),
        }
    }
}

impl FallbackStats {
    fn since(&self, earlier: &Self) -> Self {
        Self {
            served: less(self.served, earlier.served),
            stale: less(self.stale, earlier.stale),
            entries: self.entries,
            bytes: self.bytes,
            evicted: less(self.evicted, earlier.evicted),
            journal_entries: self.journal_entries,
            journal_bytes: self.journal_bytes,
            recovery: Recovery {
                replayed: less(self.recovery.replayed, earlier.recovery.replayed),
                discarded: less(self.recovery.discarded, earlier.recovery.discarded),
                dropped: less(self.recovery.dropped, earlier.recovery.dropped),
                refused: less(self.recovery.refused, earlier.recovery.refused),
                in_doubt: less(self.recovery.in_doubt, earlier.recovery.in_doubt),
            },
        }
    }
}

impl SubscriptionStats {
    fn since(&self, earlier: &Self) -> Self {
        Self {
            connections: self.connections,
            subscribers: self.subscribers,
            topics: self.topics,
            messages: less(self.messages, earlier.messages),
            delivered: less(self.delivered, earlier.delivered),
            dropped: less(self.dropped, earlier.dropped),
            gaps: less(self.gaps, earlier.gaps),
            refused: less(self.refused, earlier.refused),
            opened: less(self.opened, earlier.opened),
            dial_failures: less(self.dial_failures, earlier.dial_failures),
            lost: less(self.lost, earlier.lost),
        }
    }
}

impl ConsumerTotals {
    fn since(&self, earlier: &Self) -> Self {
        Self {
            running: self.running,
            in_progress: self.in_progress,
            held: self.held,
            read: less(self.read, earlier.read),
            claimed: less(self.claimed, earlier.claimed),
            handled: less(self.handled, earlier.handled),
            failed: less(self.failed, earlier.failed),
            acknowledged: less(self.acknowledged, earlier.acknowledged),
            dead_lettered: less(self.dead_lettered, earlier.dead_lettered),
            trimmed: less(self.trimmed, earlier.trimmed),
        }
    }
}

impl PoolStats {
    fn since(&self, earlier: &Self) -> Self {
        let (evicted, before) = (&self.evicted, &earlier.evicted);
        Self {
            acquire_wait: self.acquire_wait.since(&earlier.acquire_wait),
            acquire_timeouts: less(self.acquire_timeouts, earlier.acquire_timeouts),
            create_time: self.create_time.since(&earlier.create_time),
            use_time: self.use_time.since(&earlier.use_time),
            opened: less(self.opened, earlier.opened),
            dial_failures: less(self.dial_failures, earlier.dial_failures),
            lost: less(self.lost, earlier.lost),
            evicted: Evictions {
                idle: less(evicted.idle, before.idle),
                lifetime: less(evicted.lifetime, before.lifetime),
                spare: less(evicted.spare, before.spare),
                displaced: less(evicted.displaced, before.displaced),
                outdated: less(evicted.outdated, before.outdated),
                moved: less(evicted.moved, before.moved),
            },
            discarded: less(self.discarded, earlier.discarded),
            restarts: less(self.restarts, earlier.restarts),
            handoffs: less(self.handoffs, earlier.handoffs),
            ..self.clone()
        }
    }
}

/// A counter never falls, but for those that a fallback may put back by one.
fn less(later: u64, earlier: u64) -> u64 {
    later.saturating_sub(earlier)
}
