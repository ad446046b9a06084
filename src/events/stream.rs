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
/// It ends when the supervisor has stopped. A subscriber that does not keep up slows nothing
/// down: of the events that it has not taken in time, only the last one of each database is kept,
/// and [`HealthEvent::missed`] says how many were left out. Dropping it ends the subscription;
/// it keeps the supervisor from nothing. Waiting for an event can be cancelled at any point
/// without losing one.
#[derive(Debug)]
pub struct HealthEvents {
    queue: Arc<Mutex<Queue>>,
}

impl HealthEvents {
    pub(super) fn new(queue: Arc<Mutex<Queue>>) -> Self {
        Self { queue }
    }

    /// The next event, or `None` once the supervisor has stopped and all were taken.
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

/// Events a subscriber has not taken yet.
#[derive(Debug)]
pub(super) struct Queue {
    events: VecDeque<HealthEvent>,
    closed: bool,
    waker: Option<Waker>,
}

impl Queue {
    const CAPACITY: usize = 256;

    pub(super) fn new(events: VecDeque<HealthEvent>, closed: bool) -> Self {
        Self {
            events,
            closed,
            waker: None,
        }
    }

    /// The stream ends when these are taken.
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

    /// Keeps the last event of each database and tells, on the first one kept, how many went.
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
