//! The location of a database's server.

use std::{fmt, future::Future, io, pin::Pin, sync::Arc};

use arc_swap::ArcSwapOption;

use super::{nodes::Nodes, sentinel::Directory, transport::Connector};
use crate::config::{Address, DatabaseSettings, ServiceRegistry};

pub(crate) type Locating<'a> = Pin<Box<dyn Future<Output = io::Result<Address>> + Send + 'a>>;

/// Finds the address of a database's server. Each dial calls it, because a failover may have moved the
/// server.
pub(crate) trait Locate: fmt::Debug + Send + Sync + 'static {
    /// The present address. The caller bounds the time.
    fn locate<'a>(&'a self, settings: &'a DatabaseSettings) -> Locating<'a>;

    /// The server is not at this address, or does not answer there. Whoever keeps what it was told asks again.
    fn doubt(&self, _: &DatabaseSettings, _: &Address) {}

    /// How many addresses one dial tries in turn, of which each is doubted when it fails.
    fn choices(&self, _: &DatabaseSettings) -> usize {
        1
    }

    /// Whether the server is at this address, as far as is known.
    fn is_present(&self, _: &DatabaseSettings, _: &Address) -> bool {
        true
    }
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

/// The server is at the address of the settings, or where a service registry or sentinels say, or any node of a cluster.
pub(crate) struct Services {
    registry: ArcSwapOption<Arc<dyn ServiceRegistry>>,
    /// The services of sentinels.
    pub(crate) sentinels: Directory,
    /// The nodes of clusters.
    pub(crate) nodes: Nodes,
}

impl Services {
    /// Sentinels are reached through this connector.
    pub(crate) fn new(connector: Arc<dyn Connector>) -> Self {
        Self {
            registry: ArcSwapOption::empty(),
            sentinels: Directory::new(connector),
            nodes: Nodes::default(),
        }
    }

    /// Dials ask this registry from now on.
    pub(crate) fn set_registry(&self, registry: Option<Arc<dyn ServiceRegistry>>) {
        self.registry.store(registry.map(Arc::new));
    }

    /// The replicas of the database's service, once its sentinels have told them.
    pub(crate) fn replicas(&self, settings: &DatabaseSettings) -> Option<Vec<Address>> {
        self.sentinels.known(settings)?.replicas()
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
                Address::Sentinel(_) => match self.sentinels.service(settings) {
                    Some(service) => service.locate(settings).await,
                    None => unreachable!("BUG: sentinels have no service"),
                },
                Address::Cluster(seeds) => Ok(self.nodes.present(seeds)),
                address => Ok(address.clone()),
            }
        })
    }

    fn doubt(&self, settings: &DatabaseSettings, address: &Address) {
        if let Address::Cluster(seeds) = &settings.address {
            self.nodes.doubt(seeds, address);
        }
        if let Some(service) = self.sentinels.known(settings) {
            service.doubt(address);
        }
    }

    fn choices(&self, settings: &DatabaseSettings) -> usize {
        match &settings.address {
            Address::Cluster(seeds) => self.nodes.count(seeds),
            _ => 1,
        }
    }

    fn is_present(&self, settings: &DatabaseSettings, address: &Address) -> bool {
        if let Address::Cluster(seeds) = &settings.address {
            return self.nodes.is_member(seeds, address);
        }
        let service = self.sentinels.known(settings);
        service.is_none_or(|service| service.is_present(address))
    }
}
