//! The events of one subscriber.

#[cfg(feature = "status-page")]
mod place;

#[cfg(feature = "status-page")]
pub(crate) use place::EventPlace;

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::{
    HealthEvent,
    feed::{Feed, Fetched, Subscription},
};

/// The health of all databases as a stream: first their current states, then every change.
///
/// [`Supervisor::subscribe`](crate::Supervisor::subscribe) returns it. It implements
/// [`Stream`](futures_core::Stream), and [`next`](Self::next) works without further crates. For the
/// state of the moment alone, [`Supervisor::statistics`](crate::Supervisor::statistics) is simpler.
///
/// It ends when the supervisor has stopped; the last event of each database is then
/// [`Stopped`](crate::HealthState::Stopped). That of a database which
/// [`Supervisor::apply`](crate::Supervisor::apply) removes is [`Removed`](crate::HealthState::Removed). It does not keep the supervisor running, and dropping it
/// ends the subscription.
///
/// # Slow subscribers
///
/// A slow subscriber delays neither commands nor other subscribers, and one that does not read costs nothing per
/// event. The last 256 events are kept for all subscribers. One that is further behind gets only the last event of
/// each database, and [`HealthEvent::missed`] tells how many it has missed. So a subscriber can miss
/// intermediate states, but never the present one.
///
/// # Example
///
/// ```no_run
/// # async fn example(supervisor: redis_steward::Supervisor) {
/// use redis_steward::HealthState;
///
/// let mut events = supervisor.subscribe();
/// tokio::spawn(async move {
///     while let Some(event) = events.next().await {
///         if let HealthState::Down { reason, .. } = event.state {
///             eprintln!("{} is down: {reason}", event.database);
///         }
///     }
/// });
/// # }
/// ```
#[derive(Debug)]
pub struct HealthEvents {
    feed: Arc<Feed>,
    id: u64,
    /// Events that were fetched, and not taken yet.
    fetched: VecDeque<HealthEvent>,
    /// The number of the last event that was fetched.
    seen: u64,
}

impl HealthEvents {
    pub(super) fn new(feed: Arc<Feed>) -> Self {
        let Subscription { id, states, seen } = feed.subscribe();
        Self {
            feed,
            id,
            fetched: states,
            seen,
        }
    }

    /// The next event, or `None` when the supervisor has stopped and all events were taken.
    ///
    /// The future may be dropped at any point without losing an event, for instance in a `select!`. It
    /// needs no particular runtime.
    pub async fn next(&mut self) -> Option<HealthEvent> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<HealthEvent>> {
        if self.fetched.is_empty() {
            match self.feed.fetch(self.id, self.seen, cx.waker().clone()) {
                Fetched::Events(events) => self.fetched = events,
                Fetched::Wait => return Poll::Pending,
                Fetched::End => return Poll::Ready(None),
            }
            self.seen = self.fetched.back().map_or(self.seen, |last| last.sequence);
        }
        Poll::Ready(self.fetched.pop_front())
    }

    /// Whether all events that were fetched are taken.
    #[cfg(any(test, feature = "status-page"))]
    pub(crate) fn holds_nothing(&self) -> bool {
        self.fetched.is_empty()
    }
}

impl Stream for HealthEvents {
    type Item = HealthEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<HealthEvent>> {
        self.poll_event(cx)
    }
}

impl Drop for HealthEvents {
    fn drop(&mut self) {
        self.feed.forget(self.id);
    }
}
