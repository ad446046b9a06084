//! The supervisor's notice of a child that has ended: actix sends none when an actor panics.

use actix::Recipient;

use crate::messages::{Child, ChildExited};

/// Held by a child as long as it lives. If it is dropped without [`Self::release`], as in a panic, it
/// tells the supervisor.
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
