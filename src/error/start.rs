//! Why a supervisor does not start.

use std::{fmt, io};

use crate::config::ConfigError;

/// Why the supervisor could not be started.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration has problems; all of them are listed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system refused a thread or a runtime for it.
    #[error("the supervisor could not be started: {0}")]
    Io(#[from] io::Error),
}

/// The same as `Display`: it is what a `main` that returns the error prints.
impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
