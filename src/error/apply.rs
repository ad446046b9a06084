//! The reasons why a change of the configuration is refused.

use std::fmt;

use crate::config::ConfigError;

/// The reason why [`Supervisor::apply`](crate::Supervisor::apply) has changed nothing.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The configuration has problems. The error lists all of them, each with database and field.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The supervisor is shutting down, or has been shut down.
    #[error("the supervisor is shutting down, and its configuration stays as it is")]
    ShuttingDown,
}

/// The same text as `Display`, because a `main` that returns the error prints `Debug`.
impl fmt::Debug for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
