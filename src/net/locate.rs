//! The location of a database's server.

use std::{fmt, future::Future, io, pin::Pin};

use crate::config::{Address, DatabaseSettings};

pub(crate) type Locating<'a> = Pin<Box<dyn Future<Output = io::Result<Address>> + Send + 'a>>;

/// Finds the address of a database's server. Each dial calls it, because a failover may have moved the
/// server.
pub(crate) trait Locate: fmt::Debug + Send + Sync + 'static {
    /// The present address. The caller bounds the time.
    fn locate<'a>(&'a self, settings: &'a DatabaseSettings) -> Locating<'a>;
}

/// The server is at the address of the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FixedAddress;

impl Locate for FixedAddress {
    fn locate<'a>(&'a self, settings: &'a DatabaseSettings) -> Locating<'a> {
        Box::pin(async { Ok(settings.address.clone()) })
    }
}
