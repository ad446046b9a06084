//! The callers that wait to pass the gate.

use std::{
    sync::{
        Arc, MutexGuard, PoisonError,
        atomic::Ordering::{Relaxed, SeqCst},
    },
    time,
};

use oneshot::AsyncReceiver;
use tokio::time::Instant;

use super::{Admitted, Gate};
use crate::{
    policy::{
        gate_state::GateState,
        pool::{WaitQueue, Waiter},
    },
    state::{Keeper, Kept},
};

/// Why a caller that waited may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAdmitted {
    /// The circuit has opened again, and the caller does not wait for its recovery; or nothing passes any
    /// more.
    Refused(GateState),
    TimedOut,
    TooManyWait,
}

/// A caller that waits to pass.
#[derive(Debug)]
pub(super) struct Waiting {
    answer: oneshot::Sender<Result<Admitted, NotAdmitted>>,
    deadline: Instant,
    /// It waits while the circuit is open, and not only while it is half-open.
    is_patient: bool,
}

impl Waiter for Waiting {
    fn deadline(&self) -> time::Instant {
        self.deadline.into_std()
    }

    fn is_gone(&self) -> bool {
        self.answer.is_closed()
    }
}

type Answers = Vec<(Waiting, Result<Admitted, NotAdmitted>)>;

impl Gate {
    /// Waits to pass, first come, first served: while the circuit is half-open, and while it is open if the
    /// caller `is_patient`.
    pub(crate) fn wait(
        self: &Arc<Self>,
        deadline: Instant,
        is_patient: bool,
    ) -> AsyncReceiver<Result<Admitted, NotAdmitted>> {
        let (answer, admitted) = oneshot::async_channel();
        let waiting = Waiting {
            answer,
            deadline,
            is_patient,
        };
        let refused = {
            let mut queue = self.lock();
            let max = self.max_waiting.load(Relaxed);
            if queue.len() >= max {
                queue.forget_gone_at_times();
            }
            let refused = if queue.len() >= max {
                Some(waiting)
            } else {
                queue.push(waiting);
                None
            };
            self.note_length(&queue);
            refused
        };
        match refused {
            Some(waiting) => tell(vec![(waiting, Err(NotAdmitted::TooManyWait))]),
            None => Keeper::arm(self, deadline),
        }
        // The gate may have changed before the caller was in the queue.
        self.admit_waiting();
        admitted
    }

    /// The number of callers that wait to pass.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Lets as many of those that wait pass as may, and refuses those that have nothing to wait for.
    pub(in crate::state) fn admit_waiting(self: &Arc<Self>) {
        if self.waiting.load(SeqCst) == 0 {
            return;
        }
        let mut answers = Answers::new();
        let mut queue = self.lock();
        loop {
            queue.skip_gone();
            if queue.len() == 0 {
                break;
            }
            match self.try_enter() {
                Ok(admitted) => answers.extend(queue.pop().map(|first| (first, Ok(admitted)))),
                Err(gate_state) => {
                    let is_over = |waiting: &Waiting| match gate_state {
                        GateState::Free | GateState::Trial { .. } => false,
                        GateState::Open => !waiting.is_patient,
                        GateState::ShuttingDown
                        | GateState::Failed
                        | GateState::Isolated
                        | GateState::Removed => true,
                    };
                    let refused = queue.take_if(is_over).into_iter();
                    let why = NotAdmitted::Refused(gate_state);
                    answers.extend(refused.map(|waiting| (waiting, Err(why))));
                    break;
                }
            }
        }
        self.note_length(&queue);
        // A caller may have gone, and a trial that it did not take is given back, which comes here again.
        drop(queue);
        tell(answers);
    }

    fn note_length(&self, queue: &WaitQueue<Waiting>) {
        self.waiting.store(queue.len(), SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, WaitQueue<Waiting>> {
        // A panic elsewhere cannot have left it half-changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept for Gate {
    fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    fn expire(self: &Arc<Self>, now: Instant) {
        let (over, wake_at) = {
            let mut queue = self.lock();
            let over = queue.expire(now.into_std());
            self.note_length(&queue);
            (over, queue.wake_at())
        };
        if let Some(at) = wake_at {
            Keeper::arm(self, Instant::from_std(at));
        }
        let timed_out = |waiting| (waiting, Err(NotAdmitted::TimedOut));
        tell(over.into_iter().map(timed_out).collect());
    }
}

/// Answers outside of the lock, because an answer wakes a caller, whose code may do anything.
fn tell(answers: Answers) {
    for (waiting, answer) in answers {
        // The caller may have gone.
        let _ = waiting.answer.send(answer);
    }
}

#[cfg(test)]
#[path = "waiting_tests.rs"]
mod tests;
