//! How a supervisor learns that a child is gone: a panic ends an actor without a word.

use actix::Recipient;

use crate::messages::{Child, ChildExited};

/// Held by a child as long as it lives. Dropped without [`Self::release`], which is what a panic
/// does, it tells the supervisor.
#[derive(Debug)]
pub(super) struct ExitGuard {
    child: Child,
    supervisor: Option<Recipient<ChildExited>>,
}

impl ExitGuard {
    pub(super) fn new(child: Child, supervisor: Recipient<ChildExited>) -> Self {
        Self {
            child,
            supervisor: Some(supervisor),
        }
    }

    /// The child ends because it was told to.
    pub(super) fn release(&mut self) {
        self.supervisor = None;
    }
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        if let Some(supervisor) = self.supervisor.take() {
            supervisor.do_send(ChildExited(self.child.clone()));
        }
    }
}
