//! [`Error`] to and from the `redis` crate's error.

use std::{io, sync::Arc};

use super::Error;

impl Error {
    /// The error of this crate that a [`redis::RedisError`] was made from, if it was.
    ///
    /// Server replies and conversions became errors of the `redis` crate itself and give `None`.
    ///
    /// ```
    /// use redis_steward::Error;
    ///
    /// fn circuit_is_open(error: &redis::RedisError) -> bool {
    ///     matches!(Error::from_redis(error), Some(Error::CircuitOpen { .. }))
    /// }
    /// ```
    pub fn from_redis(error: &redis::RedisError) -> Option<&Self> {
        // The redis crate keeps its cause behind an `Arc`, and that holds the `io::Error` made below.
        let cause = std::error::Error::source(error)?
            .downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>()?;
        cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
    }

    fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::TimedOut { .. } | Self::NotReady { .. } => io::ErrorKind::TimedOut,
            Self::CircuitOpen { .. } | Self::Failed { .. } | Self::Isolated { .. } => {
                io::ErrorKind::ConnectionRefused
            }
            Self::ConnectionLost { .. } | Self::Abandoned { .. } => io::ErrorKind::ConnectionReset,
            Self::ShuttingDown { .. } => io::ErrorKind::NotConnected,
            Self::Overloaded { .. } => io::ErrorKind::ResourceBusy,
            // Not `WouldBlock`, which the redis crate takes for a timeout.
            Self::CommandRefused { .. }
            | Self::WouldBlockRuntime { .. }
            | Self::WatchLost { .. }
            | Self::LeaseNotReturned { .. }
            | Self::UnknownDatabase { .. } => io::ErrorKind::Unsupported,
            Self::Server { .. } | Self::Conversion { .. } | Self::Conflict { .. } => {
                io::ErrorKind::Other
            }
        }
    }
}

impl From<Error> for redis::RedisError {
    fn from(error: Error) -> Self {
        match error {
            Error::Server { error, .. } | Error::Conversion { error, .. } => error,
            other => io::Error::new(other.io_kind(), other).into(),
        }
    }
}
