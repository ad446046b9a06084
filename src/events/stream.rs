//! The events of one subscriber.

use std::{
    collections::{HashSet, VecDeque},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use futures_core::Stream;

use super::{HealthEvent, lock};

/// The health of all databases as a stream: first their current states, then every change.
///
/// [`Supervisor::subscribe`](crate::Supervisor::subscribe) returns it. It implements
/// [`Stream`](futures_core::Stream), and [`next`](Self::next) works without further crates. For the
/// state of the moment alone, [`Supervisor::statistics`](crate::Supervisor::statistics) is simpler.
///
/// It ends when the supervisor has stopped; the last event of each database is then
/// [`Stopped`](crate::HealthState::Stopped). It does not keep the supervisor running, and dropping it
/// ends the subscription.
///
/// # Slow subscribers
///
/// A slow subscriber delays neither commands nor other subscribers. At most 256 events are kept for
/// it. Beyond that, only the last event of each database is kept, and [`HealthEvent::missed`] tells how
/// many were dropped. So a subscriber can miss intermediate states, but never the present one.
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
    queue: Arc<Mutex<Queue>>,
}

impl HealthEvents {
    pub(super) fn new(queue: Arc<Mutex<Queue>>) -> Self {
        Self { queue }
    }

    /// The next event, or `None` when the supervisor has stopped and all events were taken.
    ///
    /// The future may be dropped at any point without losing an event, for instance in a `select!`. It
    /// needs no particular runtime.
    pub async fn next(&mut self) -> Option<HealthEvent> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<HealthEvent>> {
        let mut queue = lock(&self.queue);
        match queue.events.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if queue.closed => Poll::Ready(None),
            None => {
                queue.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Stream for HealthEvents {
    type Item = HealthEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<HealthEvent>> {
        self.poll_event(cx)
    }
}

/// Events that a subscriber has not taken yet.
#[derive(Debug)]
pub(super) struct Queue {
    events: VecDeque<HealthEvent>,
    closed: bool,
    waker: Option<Waker>,
}

impl Queue {
    /// The most events that are kept; `condense` then leaves one for each database.
    const CAPACITY: usize = 256;

    pub(super) fn new(events: VecDeque<HealthEvent>, closed: bool) -> Self {
        Self {
            events,
            closed,
            waker: None,
        }
    }

    /// Ends the stream after the present events.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.wake();
    }

    pub(super) fn push(&mut self, event: HealthEvent) {
        self.events.push_back(event);
        if self.events.len() > Self::CAPACITY {
            self.condense();
        }
        self.wake();
    }

    /// Keeps the last event of each database, and notes on the first of them how many were dropped.
    fn condense(&mut self) {
        let before: u64 = self.events.iter().map(|event| event.missed + 1).sum();
        let mut seen = HashSet::new();
        let mut kept: VecDeque<_> = VecDeque::new();
        for mut event in self.events.drain(..).rev() {
            if seen.insert(event.database.clone()) {
                event.missed = 0;
                kept.push_front(event);
            }
        }
        let gone = before - kept.len() as u64;
        if let Some(first) = kept.front_mut() {
            first.missed = gone;
        }
        self.events = kept;
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
