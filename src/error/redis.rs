//! Conversion of [`Error`] to and from the error of the `redis` crate.

use std::{io, sync::Arc};

use redis::ErrorKind;

use super::Error;
use crate::policy::command::Refusal;

impl Error {
    /// The error of this crate inside of a [`redis::RedisError`].
    ///
    /// It is `None` for an error that the `redis` crate made itself. That includes
    /// [`Server`](Self::Server), [`Conversion`](Self::Conversion) and the refusal of an empty command, which
    /// become plain errors of the `redis` crate: ask [`redis::RedisError::code`] there. To keep
    /// [`execution`](Self::execution) of these, use [`Database::query`](crate::Database::query) and the like, which return this type.
    ///
    /// ```
    /// use redis_steward::Error;
    ///
    /// fn circuit_is_open(error: &redis::RedisError) -> bool {
    ///     matches!(Error::from_redis(error), Some(Error::CircuitOpen { .. }))
    /// }
    /// ```
    pub fn from_redis(error: &redis::RedisError) -> Option<&Self> {
        // The redis crate keeps its source in an `Arc`, which holds the `io::Error` made below.
        let cause = std::error::Error::source(error)?
            .downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>()?;
        cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
    }

    fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::TimedOut { .. } | Self::NotReady { .. } => io::ErrorKind::TimedOut,
            Self::CircuitOpen { .. }
            | Self::Failed { .. }
            | Self::Isolated { .. }
            | Self::NoReplica { .. } => io::ErrorKind::ConnectionRefused,
            Self::ConnectionLost { .. } | Self::Abandoned { .. } => io::ErrorKind::ConnectionReset,
            Self::ShuttingDown { .. } => io::ErrorKind::NotConnected,
            Self::Overloaded { .. } => io::ErrorKind::ResourceBusy,
            // Not `WouldBlock`: the redis crate would treat that as a timeout.
            Self::CommandRefused { .. }
            | Self::WouldBlockRuntime { .. }
            | Self::WatchLost { .. }
            | Self::LeaseNotReturned { .. }
            | Self::UnknownDatabase { .. } => io::ErrorKind::Unsupported,
            Self::Server { .. }
            | Self::Conversion { .. }
            | Self::ReplyTooLarge { .. }
            | Self::InParts { .. }
            | Self::Conflict { .. } => io::ErrorKind::Other,
        }
    }
}

/// [`Error::Server`] and [`Error::Conversion`] become the error of the `redis` crate that they hold, and the
/// refusal of an empty command or pipeline the error that its own connections give. All other variants become an I/O error, with a kind that the `redis` crate understands
/// ([`io::ErrorKind::TimedOut`] for a timeout, for instance), and with the variant as its source.
impl From<Error> for redis::RedisError {
    fn from(error: Error) -> Self {
        match error {
            Error::Server { error, .. } | Error::Conversion { error, .. } => error,
            Error::CommandRefused {
                refusal: Refusal::Empty,
                ..
            } => (ErrorKind::Client, "empty command").into(),
            other => io::Error::new(other.io_kind(), other).into(),
        }
    }
}
