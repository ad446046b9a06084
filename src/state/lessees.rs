//! The callers that wait for a lease.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time,
};

use tokio::time::Instant;

use super::{Keeper, Kept};
use crate::{
    messages::{LeaseAnswer, NoGrant, Waiting},
    net::Executor,
    policy::pool::{WaitQueue, Waiter},
};

/// Tells callers in time that there is no connection for them, also while their pool is held up.
#[derive(Debug)]
pub(crate) struct Lessees {
    waiting: Mutex<WaitQueue<Lessee>>,
    keeper: Keeper,
}

/// The pool has the answer. If it drops it, the caller learns that the pool has gone.
#[derive(Debug)]
struct Lessee {
    deadline: Instant,
    answer: Weak<LeaseAnswer>,
}

/// So few are not looked at before a deadline passes.
const FEW: usize = 64;

impl Lessees {
    pub(super) fn new(executor: Arc<Executor>) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::new(WaitQueue::new()),
            keeper: Keeper::new(executor),
        })
    }

    /// Keeps the deadline of this caller.
    pub(crate) fn watch(self: &Arc<Self>, waiting: &Waiting) {
        self.change(|queue| {
            if queue.len() >= FEW {
                queue.forget_gone_at_times();
            }
            queue.push(Lessee {
                deadline: waiting.deadline,
                answer: Arc::downgrade(&waiting.answer),
            });
        });
        Keeper::arm(self, waiting.deadline);
    }

    fn change<T>(&self, act: impl FnOnce(&mut WaitQueue<Lessee>) -> T) -> T {
        // A panic elsewhere cannot have left it half-changed.
        act(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept for Lessees {
    fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    fn expire(self: &Arc<Self>, now: Instant) {
        let (over, wake_at) = self.change(|queue| {
            queue.forget_gone();
            let over = queue.expire(now.into_std());
            (over, queue.wake_at())
        });
        if let Some(at) = wake_at {
            Keeper::arm(self, Instant::from_std(at));
        }
        for lessee in over {
            if let Some(answer) = lessee.answer.upgrade() {
                // The pool may have just answered.
                let _ = answer.send(Err(NoGrant::TimedOut));
            }
        }
    }
}

impl Waiter for Lessee {
    fn deadline(&self) -> time::Instant {
        self.deadline.into_std()
    }

    fn is_gone(&self) -> bool {
        let answer = self.answer.upgrade();
        answer.is_none_or(|answer| answer.is_gone())
    }
}
