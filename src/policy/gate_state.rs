//! The state of the gate before a database, as callers see it.

/// The state of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GateState {
    /// The circuit is closed: all commands pass.
    Free,
    /// The circuit is half-open: so many commands at a time pass, as trials.
    Trial { at_once: u32 },
    /// The circuit is open: no command passes until it closes again.
    Open,
    /// No command passes any more: the supervisor is shutting down.
    ShuttingDown,
    /// No command passes: the pool was given up.
    Failed,
    /// No command passes: the database was isolated by hand.
    Isolated,
    /// No command passes any more: the database was removed.
    Removed,
}

impl GateState {
    /// Whether no other state follows.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Removed)
    }
}
