//! The services of all databases of a supervisor.

use std::sync::{Arc, Mutex, PoisonError};

use super::service::Service;
use crate::{
    config::{Address, DatabaseSettings},
    net::transport::Connector,
};

/// What is known of each service, shared by its databases.
#[derive(Debug)]
pub(crate) struct Directory {
    connector: Arc<dyn Connector>,
    services: Mutex<Vec<Arc<Service>>>,
}

impl Directory {
    pub(crate) fn new(connector: Arc<dyn Connector>) -> Self {
        Self {
            connector,
            services: Mutex::default(),
        }
    }

    /// The service of these settings, if sentinels say where its server is.
    pub(crate) fn service(&self, settings: &DatabaseSettings) -> Option<Arc<Service>> {
        let Address::Sentinel(service) = &settings.address else {
            return None;
        };
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = services.iter().find(|known| known.is_of(settings)) {
            return Some(known.clone());
        }
        let new = Arc::new(Service::new(
            &service.name,
            &service.sentinels,
            Arc::new(settings.clone()),
            self.connector.clone(),
        ));
        services.push(new.clone());
        Some(new)
    }

    /// The service of these settings, unless none of them is there any more.
    pub(crate) fn known(&self, settings: &DatabaseSettings) -> Option<Arc<Service>> {
        if !settings.address.is_of_sentinels() {
            return None;
        }
        let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        services.iter().find(|known| known.is_of(settings)).cloned()
    }

    /// Keeps the services of these settings, and forgets the others. Returns each with its settings.
    pub(crate) fn retain(&self, present: &[Arc<DatabaseSettings>]) {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        services.retain(|service| {
            let settings = present.iter().find(|settings| service.is_of(settings));
            if let Some(settings) = settings {
                // Others, such as the connect timeout, may have changed.
                service.settings.store(settings.clone());
            }
            settings.is_some()
        });
    }
}
