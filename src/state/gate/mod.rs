//! The gate before a database: the circuit breaker's state, as callers read it.

mod waiting;

pub(crate) use waiting::NotAdmitted;

use std::sync::{
    Arc, Mutex,
    atomic::{
        AtomicBool, AtomicU32, AtomicU64, AtomicUsize,
        Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
    },
};

use self::waiting::Waiting;
use super::Keeper;
use crate::{
    net::Executor,
    policy::{gate_state::GateState, pool::WaitQueue},
};

/// The gate of one database, set by the health actor and read by callers with one atomic load.
///
/// It counts epochs: a command that was admitted in an earlier epoch says nothing about the present state,
/// however late its result comes.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The epoch in the upper 48 bits, the trials at a time in the next 8, the state in the lower 8.
    word: AtomicU64,
    trials: AtomicU32,
    has_succeeded: AtomicBool,
    /// A success that was noticed, and that no failure was reported with since.
    is_success_owed: AtomicBool,
    /// The callers that wait, and their number.
    queue: Mutex<WaitQueue<Waiting>>,
    waiting: AtomicUsize,
    max_waiting: AtomicUsize,
    keeper: Keeper,
}

impl Gate {
    /// At most `max_waiting` callers wait.
    pub(crate) fn new(max_waiting: usize, executor: Arc<Executor>) -> Arc<Self> {
        Arc::new(Self {
            word: AtomicU64::new(encode(0, GateState::Free)),
            trials: AtomicU32::new(0),
            has_succeeded: AtomicBool::new(false),
            is_success_owed: AtomicBool::new(false),
            queue: Mutex::new(WaitQueue::new()),
            waiting: AtomicUsize::new(0),
            max_waiting: AtomicUsize::new(max_waiting),
            keeper: Keeper::new(executor),
        })
    }

    /// Changes the number of callers that may wait. Those that do wait on.
    pub(super) fn resize(&self, max_waiting: usize) {
        self.max_waiting.store(max_waiting, Relaxed);
    }

    /// Asks to pass.
    pub(crate) fn try_enter(self: &Arc<Self>) -> Result<Admitted, GateState> {
        let (epoch, gate_state) = decode(self.word.load(Acquire));
        let trial = match gate_state {
            GateState::Free => None,
            GateState::Trial { at_once } => Some(self.try_trial(at_once).ok_or(gate_state)?),
            closed => return Err(closed),
        };
        Ok(Admitted { epoch, trial })
    }

    /// Sets it for the callers that come: a new epoch. Those that wait are answered by
    /// [`admit_waiting`](Self::admit_waiting). Shutting down is final, and so is removal.
    pub(crate) fn begin(&self, gate_state: GateState) -> u64 {
        let mut epoch = 0;
        let update = self.word.fetch_update(SeqCst, Acquire, |word| {
            let (old, current) = decode(word);
            epoch = old + 1;
            (!current.is_final()).then(|| encode(epoch, gate_state))
        });
        match update {
            Ok(_) => epoch,
            Err(word) => decode(word).0,
        }
    }

    pub(crate) fn state(&self) -> GateState {
        decode(self.word.load(Acquire)).1
    }

    /// Notes that a command succeeded. It only reads if that is noted already, so that commands do not
    /// contend for the cache line.
    pub(crate) fn note_success(&self) {
        if !self.has_succeeded.load(Relaxed) {
            self.has_succeeded.store(true, Release);
        }
    }

    /// Whether a command has succeeded since the last call of this or of the other.
    pub(crate) fn take_success(&self) -> bool {
        let has_succeeded = self.has_succeeded.swap(false, AcqRel);
        if has_succeeded {
            self.is_success_owed.store(true, Release);
        }
        has_succeeded
    }

    /// Whether a command has succeeded since the last failure. It is asked when a failure is reported: so the success
    /// counts before that failure and after the earlier ones, however late the reports are looked at.
    pub(super) fn take_success_before_failure(&self) -> bool {
        let has_succeeded = self.has_succeeded.swap(false, AcqRel);
        self.is_success_owed.swap(false, AcqRel) || has_succeeded
    }

    fn try_trial(self: &Arc<Self>, at_once: u32) -> Option<Trial> {
        let one_more = |trials: u32| (trials < at_once).then_some(trials + 1);
        let counted = self.trials.fetch_update(SeqCst, Acquire, one_more);
        counted.ok().map(|_| Trial { gate: self.clone() })
    }
}

/// The right to send one command.
#[must_use = "dropping this gives a trial back"]
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) epoch: u64,
    trial: Option<Trial>,
}

impl Admitted {
    /// Gives the trial back, for another command.
    pub(crate) fn forgo_trial(&mut self) {
        self.trial = None;
    }

    /// Whether this is a trial of a half-open circuit, whose result counts.
    pub(crate) fn is_trial(&self) -> bool {
        self.trial.is_some()
    }
}

/// One of the few trials. It gives itself back, so that no early return can leave the circuit half-open
/// for ever.
#[derive(Debug)]
struct Trial {
    gate: Arc<Gate>,
}

impl Drop for Trial {
    fn drop(&mut self) {
        self.gate.trials.fetch_sub(1, SeqCst);
        self.gate.admit_waiting();
    }
}

fn encode(epoch: u64, gate_state: GateState) -> u64 {
    let gate_state = match gate_state {
        GateState::Free => 0,
        GateState::Trial { at_once } => u64::from(at_once.min(0xff)) << 8 | 1,
        GateState::Open => 2,
        GateState::ShuttingDown => 3,
        GateState::Failed => 4,
        GateState::Isolated => 5,
        GateState::Removed => 6,
    };
    epoch << 16 | gate_state
}

fn decode(word: u64) -> (u64, GateState) {
    let gate_state = match word & 0xff {
        0 => GateState::Free,
        1 => GateState::Trial {
            at_once: (word >> 8 & 0xff) as u32,
        },
        2 => GateState::Open,
        3 => GateState::ShuttingDown,
        4 => GateState::Failed,
        5 => GateState::Isolated,
        6 => GateState::Removed,
        other => unreachable!("BUG: state {other} of the gate is none that is ever encoded"),
    };
    (word >> 16, gate_state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Arc<Gate> {
        Gate::new(100, Arc::new(Executor::new(None)))
    }

    #[test]
    fn trials_are_limited_and_given_back() {
        let gate = gate();
        let half_open = GateState::Trial { at_once: 5 };
        gate.begin(half_open);
        assert_eq!(gate.state(), half_open);
        let trials: Vec<_> = (0..5).map(|_| gate.try_enter().expect("a trial")).collect();
        assert_eq!(gate.try_enter().err(), Some(half_open));
        drop(trials);
        assert!(gate.try_enter().expect("a trial again").is_trial());
    }

    #[test]
    fn every_change_is_a_new_epoch_and_the_end_is_final() {
        let removed = gate();
        removed.begin(GateState::Removed);
        removed.begin(GateState::ShuttingDown);
        assert_eq!(removed.state(), GateState::Removed);

        let gate = gate();
        let before = gate.try_enter().expect("free").epoch;
        let opened = gate.begin(GateState::Open);
        assert!(opened > before);
        assert_eq!(gate.try_enter().err(), Some(GateState::Open));
        gate.begin(GateState::ShuttingDown);
        gate.begin(GateState::Free);
        assert_eq!(gate.try_enter().err(), Some(GateState::ShuttingDown));
    }
}
