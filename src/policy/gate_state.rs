//! The circuit as callers meet it.

/// What callers meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GateState {
    /// Everybody passes.
    Free,
    /// A few at a time pass, as trials.
    Trial,
    /// Nobody passes until the circuit closes again.
    Open,
    /// Nobody passes any more: the supervisor is shutting down.
    ShuttingDown,
    /// Nobody passes: the pool was given up.
    Failed,
    /// Nobody passes: somebody has isolated the database by hand.
    Isolated,
}
