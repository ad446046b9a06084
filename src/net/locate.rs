//! The location of a database's server.

use std::{fmt, future::Future, io, pin::Pin, sync::Arc};

use arc_swap::ArcSwapOption;

use crate::config::{Address, DatabaseSettings, ServiceRegistry};

pub(crate) type Locating<'a> = Pin<Box<dyn Future<Output = io::Result<Address>> + Send + 'a>>;

/// Finds the address of a database's server. Each dial calls it, because a failover may have moved the
/// server.
pub(crate) trait Locate: fmt::Debug + Send + Sync + 'static {
    /// The present address. The caller bounds the time.
    fn locate<'a>(&'a self, settings: &'a DatabaseSettings) -> Locating<'a>;
}

/// The server is at the address of the settings.
#[cfg(any(test, feature = "internals"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct FixedAddress;

#[cfg(any(test, feature = "internals"))]
impl Locate for FixedAddress {
    fn locate<'a>(&'a self, settings: &'a DatabaseSettings) -> Locating<'a> {
        Box::pin(async { Ok(settings.address.clone()) })
    }
}

/// The server is at the address of the settings, or where a service registry says.
#[derive(Default)]
pub(crate) struct Services {
    registry: ArcSwapOption<Arc<dyn ServiceRegistry>>,
}

impl Services {
    /// Dials ask this registry from now on.
    pub(crate) fn set_registry(&self, registry: Option<Arc<dyn ServiceRegistry>>) {
        self.registry.store(registry.map(Arc::new));
    }

    async fn find(&self, database: &str) -> io::Result<Address> {
        let Some(registry) = self.registry.load_full() else {
            // A change has taken it away, and this dial or database is of the configuration before.
            return Err(io::Error::other("there is no service registry any more"));
        };
        match registry.find(database).await {
            Ok(Some(service)) => Ok(service.address()),
            Ok(None) => Ok(Address::default()),
            Err(error) => {
                let message = format!("the service registry cannot tell where it is: {error}");
                Err(io::Error::other(message))
            }
        }
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Services")
            .field(&self.registry.load())
            .finish()
    }
}

impl Locate for Arc<Services> {
    fn locate<'a>(&'a self, settings: &'a DatabaseSettings) -> Locating<'a> {
        Box::pin(async {
            match &settings.address {
                Address::Service(database) => self.find(database).await,
                address => Ok(address.clone()),
            }
        })
    }
}
