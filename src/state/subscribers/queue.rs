//! The queue between the connection of subscribers and one subscriber.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::backlog::{Backlog, Bounds, Popped};
use crate::events::PubSubEvent;

/// Events on their way to one subscriber. Its lock is its own, so a slow subscriber delays no other.
#[derive(Debug)]
pub(crate) struct SubscriberQueue(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    backlog: Backlog,
    reader: Option<Waker>,
}

impl SubscriberQueue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self(Mutex::new(Inner {
            backlog: Backlog::new(bounds),
            reader: None,
        }))
    }

    /// The next event, or `None` after the last one.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<PubSubEvent>> {
        let mut inner = self.lock();
        match inner.backlog.pop() {
            Popped::Event(event) => Poll::Ready(Some(event)),
            Popped::End => Poll::Ready(None),
            Popped::Nothing => {
                let same = |reader: &Waker| reader.will_wake(cx.waker());
                if !inner.reader.as_ref().is_some_and(same) {
                    inner.reader = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// Whether no event comes any more, beside those that wait.
    pub(super) fn is_over(&self) -> bool {
        self.lock().backlog.is_over()
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.lock().backlog.bounds()
    }

    /// Changes the queue. The waker of the reader, if it waits, is to be called when no lock is held.
    pub(super) fn change<T>(
        &self,
        wakers: &mut Vec<Waker>,
        how: impl FnOnce(&mut Backlog) -> T,
    ) -> T {
        let mut inner = self.lock();
        let result = how(&mut inner.backlog);
        wakers.extend(inner.reader.take());
        result
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere cannot have left it half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
