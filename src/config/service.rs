//! Service registries: where servers are, by the names of databases.

use std::{collections::HashMap, error::Error, fmt, future::Future, pin::Pin};

use super::{Address, address::Host, environment::Environment, setting::Setting, source::spelled};

/// The answer of a [`ServiceRegistry`], once it is there.
pub type ServiceFuture<'a> = Pin<
    Box<dyn Future<Output = Result<Option<Service>, Box<dyn Error + Send + Sync>>> + Send + 'a>,
>;

/// Finds the servers of databases whose configuration does not say where they are.
///
/// [`Config::service_registry`](crate::Config::service_registry) sets one. It is asked at every dial, so that a server
/// that moves is found again, and has the [connect timeout](crate::DatabaseConfig::connect_timeout) to answer. Only
/// the host and the port come from it.
///
/// ```
/// use redis_steward::{Config, DatabaseConfig, ServiceFuture, Service, ServiceRegistry};
///
/// /// Asks the company's directory.
/// #[derive(Debug)]
/// struct Directory;
///
/// impl ServiceRegistry for Directory {
///     fn find<'a>(&'a self, database: &'a str) -> ServiceFuture<'a> {
///         Box::pin(async move { Ok(Some(Service::new(format!("{database}.redis.internal"), 6379))) })
///     }
/// }
///
/// let config = Config::new()
///     .database("sessions", DatabaseConfig::new().number(6))
///     .service_registry(Directory);
/// # config.check().unwrap();
/// ```
pub trait ServiceRegistry: fmt::Debug + Send + Sync + 'static {
    /// The server of a database. `None` if the registry does not know it: then it is that of the default,
    /// `localhost:6379`.
    ///
    /// # Errors
    ///
    /// The registry cannot tell now. That counts as a failed dial, and the text is shown in errors, so it should hold no
    /// secret. The future may be dropped at any point.
    fn find<'a>(&'a self, database: &'a str) -> ServiceFuture<'a>;
}

/// The host and the port of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Service {
    /// A server on a host, which is a name or an IP address.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    pub(crate) fn address(self) -> Address {
        Address::Tcp {
            host: self.host,
            port: self.port,
        }
    }
}

/// A registry that is a fixed table.
///
/// ```
/// use redis_steward::StaticRegistry;
///
/// let registry = StaticRegistry::new()
///     .service("sessions", "sessions.internal", 6379)
///     .service("cache", "cache.internal", 6380);
/// ```
#[derive(Clone, Debug, Default)]
pub struct StaticRegistry(HashMap<String, Service>);

impl StaticRegistry {
    /// A table without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the server of a database. A later one replaces an earlier one.
    #[must_use]
    pub fn service(
        mut self,
        database: impl Into<String>,
        host: impl Into<String>,
        port: u16,
    ) -> Self {
        self.0.insert(database.into(), Service::new(host, port));
        self
    }
}

impl ServiceRegistry for StaticRegistry {
    fn find<'a>(&'a self, database: &'a str) -> ServiceFuture<'a> {
        let found = self.0.get(database).cloned();
        Box::pin(async { Ok(found) })
    }
}

/// A registry that is the environment, with the variables that Kubernetes and Docker's links set for services.
///
/// For the database `sessions` it reads `REDIS_SESSIONS_SERVICE_HOST` and `REDIS_SESSIONS_SERVICE_PORT`, which
/// Kubernetes sets for a service named `redis-sessions`; else `REDIS_SERVICE_HOST` and `REDIS_SERVICE_PORT`, which it
/// sets for one named `redis`. A missing port is 6379.
#[derive(Clone, Debug)]
pub struct EnvironmentRegistry(Environment);

impl EnvironmentRegistry {
    /// The environment as it is now.
    pub fn new() -> Self {
        Self(Environment::of_process())
    }

    fn lookup(&self, beginning: &str) -> Option<Result<Service, Box<dyn Error + Send + Sync>>> {
        let (host_name, port_name) = (format!("{beginning}_HOST"), format!("{beginning}_PORT"));
        let host = self.0.get(&host_name)?;
        let read = || {
            let host = host.map_err(|message| format!("{host_name} {message}"))?;
            let host =
                Host::read(host.trim()).map_err(|message| format!("{host_name} {message}"))?;
            let port = match self.0.get(&port_name) {
                None => 6379,
                Some(port) => port
                    .and_then(|port| u16::read(port.trim()))
                    .map_err(|message| format!("{port_name} {message}"))?,
            };
            Ok(Service::new(host.to_string(), port))
        };
        Some(read().map_err(|message: String| message.into()))
    }
}

impl Default for EnvironmentRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl ServiceRegistry for EnvironmentRegistry {
    fn find<'a>(&'a self, database: &'a str) -> ServiceFuture<'a> {
        let own = format!("REDIS_{}_SERVICE", spelled(database));
        let found = self.lookup(&own).or_else(|| self.lookup("REDIS_SERVICE"));
        Box::pin(async { found.transpose() })
    }
}

#[cfg(test)]
mod tests {
    use futures_executor::block_on;

    use super::*;

    #[test]
    fn the_environment_names_services_as_kubernetes_does() {
        let registry = EnvironmentRegistry(Environment::from_iter([
            ("REDIS_SESSIONS_SERVICE_HOST", "10.0.0.6"),
            ("REDIS_SESSIONS_SERVICE_PORT", "7000"),
            ("REDIS_SERVICE_HOST", "10.0.0.1"),
            ("REDIS_BROKEN_SERVICE_HOST", "user:canary@h"),
        ]));
        let found = |name| block_on(registry.find(name)).map_err(|error| error.to_string());
        assert_eq!(found("sessions"), Ok(Some(Service::new("10.0.0.6", 7000))));
        assert_eq!(found("other"), Ok(Some(Service::new("10.0.0.1", 6379))));
        let error = found("broken").expect_err("no host");
        assert!(
            error.starts_with("REDIS_BROKEN_SERVICE_HOST ") && !error.contains("canary"),
            "{error}"
        );
        let none = EnvironmentRegistry(Environment::default());
        assert_eq!(block_on(none.find("main")).expect("an answer"), None);
    }

    #[test]
    fn a_table_knows_what_it_was_told() {
        let registry = StaticRegistry::new()
            .service("a", "h", 1)
            .service("a", "i", 2);
        assert_eq!(
            block_on(registry.find("a")).expect("an answer"),
            Some(Service::new("i", 2))
        );
        assert_eq!(block_on(registry.find("b")).expect("an answer"), None);
    }
}
