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
    queue: Mutex<Queue>,
    keeper: Keeper,
}

#[derive(Debug)]
struct Queue {
    waiting: WaitQueue<Lessee>,
    /// The length at which those are forgotten that wait no longer, so that each costs a constant time.
    crowded: usize,
}

/// The pool has the answer. If it drops it, the caller learns that the pool has gone.
#[derive(Debug)]
struct Lessee {
    deadline: Instant,
    answer: Weak<LeaseAnswer>,
}

const FEW: usize = 64;

impl Lessees {
    pub(super) fn new(executor: Arc<Executor>) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::new(Queue {
                waiting: WaitQueue::new(),
                crowded: FEW,
            }),
            keeper: Keeper::new(executor),
        })
    }

    /// Keeps the deadline of this caller.
    pub(crate) fn watch(self: &Arc<Self>, waiting: &Waiting) {
        self.change(|queue| {
            queue.waiting.push(Lessee {
                deadline: waiting.deadline,
                answer: Arc::downgrade(&waiting.answer),
            });
            if queue.waiting.len() >= queue.crowded {
                queue.waiting.forget_gone();
                queue.crowded = FEW.max(2 * queue.waiting.len());
            }
        });
        Keeper::arm(self, waiting.deadline);
    }

    fn change<T>(&self, act: impl FnOnce(&mut Queue) -> T) -> T {
        // A panic elsewhere cannot have left it half-changed.
        act(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept for Lessees {
    fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    fn expire(self: &Arc<Self>, now: Instant) {
        let (over, wake_at) = self.change(|queue| {
            queue.waiting.forget_gone();
            let over = queue.waiting.expire(now.into_std());
            (over, queue.waiting.wake_at())
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
