//! Why a front could not be started.

use std::{io, net::SocketAddr};

use crate::error::Error;

/// The reason why a [`Front`](crate::Front) could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrontError {
    /// There is nothing to listen on.
    #[error("the front listens nowhere; call listen_tcp or listen_unix")]
    NoListener,
    /// There are several databases, and none was chosen.
    #[error("the supervisor has several databases; choose one by database or select")]
    NoDatabase,
    /// A database of this name is not configured.
    #[error(transparent)]
    Database(Error),
    /// The text is no address.
    #[error("{0:?} is no address such as 127.0.0.1:6380 or [::1]:6380; names are not looked up")]
    Address(Box<str>),
    /// Other machines can reach the address.
    #[error("other machines can reach {0}; permit that by allow_remote, with a password")]
    Remote(SocketAddr),
    /// Other machines can reach the address, and clients need no password.
    #[error("other machines can reach {0}, so that clients need a password or a user")]
    NoPassword(SocketAddr),
    /// The operating system does not let the front listen there.
    #[error("the front cannot listen on {address}: {error}")]
    Listen {
        /// The address or path.
        address: Box<str>,
        /// The error of the operating system.
        #[source]
        error: io::Error,
    },
    /// The runtime of the connections has ended or has no I/O, or the supervisor has been shut down.
    #[error("the runtime of the connections does not run the front; it has ended, or has no I/O")]
    Runtime,
}
