//! Whether a database is live, and whether it is ready, by its state.

use super::{CircuitState, HealthState, Reason};

impl HealthState {
    /// See [`HealthCheck::is_live`](crate::HealthCheck::is_live).
    pub(crate) fn is_live(&self) -> bool {
        !matches!(self, Self::Failed | Self::Stopped | Self::Removed)
    }

    /// See [`HealthCheck::is_ready`](crate::HealthCheck::is_ready).
    pub(crate) fn is_ready(&self, circuit: CircuitState) -> bool {
        match self {
            Self::Healthy => true,
            Self::Degraded { reason } => {
                *reason == Reason::MemoryFallback
                    || circuit == CircuitState::Closed && *reason != Reason::Loading
            }
            _ => false,
        }
    }
}
