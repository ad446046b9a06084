//! The reasons why a supervisor does not start.

use std::{fmt, io};

use crate::config::ConfigError;

/// The reason why the supervisor could not be started; see
/// [`Supervisor::spawn`](crate::Supervisor::spawn).
///
/// A server that cannot be reached is none: databases connect after the start.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration has problems. The error lists all of them, each with database and field.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system refused a thread or the resources of a runtime, or the new thread ended
    /// before the supervisor ran.
    #[error("the supervisor could not be started: {0}")]
    Io(#[from] io::Error),
}

/// The same text as `Display`, because a `main` that returns the error prints `Debug`.
impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
