//! A supervisor that is not kept running.

use std::sync::{Arc, Weak};

use super::Supervisor;
use crate::{lifeline::Lifeline, registry::Registry};

/// Leads to a supervisor for as long as another handle keeps it running.
#[derive(Clone, Debug)]
pub(crate) struct WeakSupervisor {
    registry: Weak<Registry>,
    lifeline: Weak<Lifeline>,
}

impl WeakSupervisor {
    /// The supervisor, unless all its handles have gone.
    pub(crate) fn upgrade(&self) -> Option<Supervisor> {
        Some(Supervisor {
            registry: self.registry.upgrade()?,
            lifeline: self.lifeline.upgrade()?,
        })
    }
}

impl Supervisor {
    pub(crate) fn downgrade(&self) -> WeakSupervisor {
        WeakSupervisor {
            registry: Arc::downgrade(&self.registry),
            lifeline: Arc::downgrade(&self.lifeline),
        }
    }
}
