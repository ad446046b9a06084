//! Whether a database is live, and whether it is ready.

use super::HealthCheck;
use crate::events::HealthState;

impl HealthCheck {
    /// Whether a restart of the program would be of no use: false only if the database was given up, or if the
    /// supervisor has been shut down. A server that is away is no reason to restart its clients.
    pub fn is_live(&self) -> bool {
        self.state.is_live()
    }

    /// Whether commands can be expected to succeed. It is false before the first connection, while the circuit is not
    /// closed, while the server is loading, and while the database is isolated or has ended; true while it is degraded
    /// otherwise, for instance because it takes no writes, and while a [fallback](crate::Fallback) stands in.
    pub fn is_ready(&self) -> bool {
        self.state.is_ready(self.circuit)
    }

    /// Why the verdicts are not better: the state, unless it is healthy, and the question without an answer. Empty
    /// for a healthy database whose server has answered.
    pub fn reasons(&self) -> Vec<String> {
        let state = (self.state != HealthState::Healthy).then(|| self.state.to_string());
        let error = self
            .error
            .as_ref()
            .map(|error| format!("asked now: {error}"));
        state.into_iter().chain(error).collect()
    }
}
