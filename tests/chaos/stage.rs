//! State shared by all parts of a run: its progress and its violations.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use crate::{
    invariants::{Check, Violation},
    pulse::Pulse,
};

#[derive(Default)]
pub(crate) struct Stage {
    spread: AtomicBool,
    healed: AtomicBool,
    over: AtomicBool,
    violations: Mutex<Vec<Violation>>,
    pub(crate) pulse: Pulse,
}

impl Stage {
    /// From now on faults may hit every database, and not only the first.
    pub(crate) fn spread_faults(&self) {
        self.spread.store(true, SeqCst);
    }

    pub(crate) fn faults_are_spread(&self) -> bool {
        self.spread.load(SeqCst)
    }

    /// From now on there are no new faults.
    pub(crate) fn end_faults(&self) {
        self.healed.store(true, SeqCst);
    }

    pub(crate) fn faults_have_ended(&self) -> bool {
        self.healed.load(SeqCst)
    }

    /// From now on there are no new calls.
    pub(crate) fn end_calls(&self) {
        self.over.store(true, SeqCst);
    }

    pub(crate) fn calls_have_ended(&self) -> bool {
        self.over.load(SeqCst)
    }

    /// Records a violation, with a context that helps to understand it.
    pub(crate) fn record(&self, check: Check, context: impl FnOnce() -> String) {
        if let Err(mut violation) = check {
            violation.detail += &context();
            println!("VIOLATION {violation}");
            self.violations.lock().unwrap().push(violation);
        }
    }

    pub(crate) fn is_violated(&self) -> bool {
        !self.violations.lock().unwrap().is_empty()
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.violations.lock().unwrap().clone()
    }
}
