//! The callers that wait for a lease.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
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
    line: Mutex<Line>,
    keeper: Keeper,
}

#[derive(Debug)]
struct Line {
    waiting: WaitQueue<Lessee>,
    /// Impatient callers are refused, because the circuit is open.
    refuses_impatient: bool,
}

/// The pool has the answer. If it drops it, the caller learns that the pool has gone.
#[derive(Debug)]
struct Lessee {
    deadline: Instant,
    is_patient: bool,
    answer: Weak<LeaseAnswer>,
}

/// So few are not looked at before a deadline passes.
const FEW: usize = 64;

impl Lessees {
    pub(super) fn new(executor: Arc<Executor>) -> Arc<Self> {
        Arc::new(Self {
            line: Mutex::new(Line {
                waiting: WaitQueue::new(),
                refuses_impatient: false,
            }),
            keeper: Keeper::new(executor),
        })
    }

    /// Keeps the deadline of this caller, and tells it when the circuit opens.
    pub(crate) fn watch(self: &Arc<Self>, waiting: &Waiting) {
        let lessee = Lessee {
            deadline: waiting.deadline,
            is_patient: waiting.is_patient,
            answer: Arc::downgrade(&waiting.answer),
        };
        let refused = {
            let mut line = self.line();
            if line.refuses_impatient && !lessee.is_patient {
                // It passed the gate before the circuit opened.
                Some(lessee)
            } else {
                if line.waiting.len() >= FEW {
                    line.waiting.forget_gone_at_times();
                }
                line.waiting.push(lessee);
                None
            }
        };
        match refused {
            Some(lessee) => lessee.tell(NoGrant::CircuitOpened),
            None => Keeper::arm(self, waiting.deadline),
        }
    }

    /// From now on, callers that do not wait for recovery are refused, or they wait for a connection.
    pub(super) fn refuse_impatient(&self, refuses: bool) {
        let refused = {
            let mut line = self.line();
            line.refuses_impatient = refuses;
            if refuses {
                line.waiting.take_if(|lessee| !lessee.is_patient)
            } else {
                Vec::new()
            }
        };
        for lessee in refused {
            lessee.tell(NoGrant::CircuitOpened);
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // A panic elsewhere cannot have left it half-changed.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lessee {
    /// Outside of the lock, because an answer wakes a caller, whose code may do anything.
    fn tell(self, why: NoGrant) {
        if let Some(answer) = self.answer.upgrade() {
            // The pool may have just answered.
            let _ = answer.send(Err(why));
        }
    }
}

impl Kept for Lessees {
    fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    fn expire(self: &Arc<Self>, now: Instant) {
        let (over, wake_at) = {
            let waiting = &mut self.line().waiting;
            waiting.forget_gone();
            let over = waiting.expire(now.into_std());
            (over, waiting.wake_at())
        };
        if let Some(at) = wake_at {
            Keeper::arm(self, Instant::from_std(at));
        }
        for lessee in over {
            lessee.tell(NoGrant::TimedOut);
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
