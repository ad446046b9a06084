//! What one actor publishes and callers look at, with the callers who wait for something else.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use arc_swap::{ArcSwapOption, Guard};
use tokio::time::Instant;

use super::{Keeper, Kept};
use crate::net::Executor;

/// A present value, and the callers that wait for another one.
#[derive(Debug)]
pub(crate) struct Published<T> {
    /// `None` until there is one.
    present: ArcSwapOption<T>,
    is_over: AtomicBool,
    waiting: Mutex<Vec<Waiting>>,
    keeper: Keeper,
}

#[derive(Debug)]
struct Waiting {
    deadline: Instant,
    answer: oneshot::Sender<()>,
}

impl<T: fmt::Debug + Send + Sync + 'static> Published<T> {
    pub(super) fn new(executor: Arc<Executor>) -> Arc<Self> {
        Arc::new(Self {
            present: ArcSwapOption::empty(),
            is_over: AtomicBool::new(false),
            waiting: Mutex::default(),
            keeper: Keeper::new(executor),
        })
    }

    pub(crate) fn present(&self) -> Guard<Option<Arc<T>>> {
        self.present.load()
    }

    pub(crate) fn publish(&self, value: T) {
        self.replace(value);
        self.tell_waiting();
    }

    /// The same without a word to those who wait, who have to be [told](Self::tell_waiting) next.
    pub(super) fn replace(&self, value: T) {
        self.present.store(Some(Arc::new(value)));
    }

    /// There is none, until another one is published.
    pub(crate) fn withdraw(&self) {
        self.present.store(None);
    }

    /// There is none any more.
    pub(super) fn end(&self) {
        self.is_over.store(true, SeqCst);
        self.keeper.stop();
        self.present.store(None);
        self.tell_waiting();
    }

    /// Has those who wait look again.
    pub(super) fn tell_waiting(&self) {
        let waiting = std::mem::take(&mut *self.waiting());
        for waiting in waiting {
            // It may have gone.
            let _ = waiting.answer.send(());
        }
    }

    /// Waits until another value is published than this, or the time has come.
    pub(crate) async fn next(self: &Arc<Self>, seen: Option<&Arc<T>>, deadline: Instant) {
        if self.is_other(seen) {
            return;
        }
        let (answer, answered) = oneshot::async_channel();
        self.waiting().push(Waiting { deadline, answer });
        if self.is_other(seen) {
            drop(answered);
            self.waiting().retain(|waiting| !waiting.answer.is_closed());
            return;
        }
        Keeper::arm(self, deadline);
        // An error says that everything ends.
        let _ = answered.await;
    }

    /// Whether there is another value than this, or none will come.
    fn is_other(&self, seen: Option<&Arc<T>>) -> bool {
        let present = self.present.load();
        self.is_over.load(SeqCst) || present.as_ref().map(Arc::as_ptr) != seen.map(Arc::as_ptr)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        // A panic elsewhere cannot have left it half-changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: fmt::Debug + Send + Sync + 'static> Kept for Published<T> {
    fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    fn expire(self: &Arc<Self>, now: Instant) {
        let (over, next) = {
            let mut waiting = self.waiting();
            waiting.retain(|waiting| !waiting.answer.is_closed());
            let over: Vec<_> = waiting
                .extract_if(.., |waiting| waiting.deadline <= now)
                .collect();
            (over, waiting.iter().map(|waiting| waiting.deadline).min())
        };
        if let Some(next) = next {
            Keeper::arm(self, next);
        }
        for waiting in over {
            // It may have gone.
            let _ = waiting.answer.send(());
        }
    }
}
