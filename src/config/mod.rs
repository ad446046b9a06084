//! Configuration: plain data with setters, read from code, files or the environment, and checked as a
//! whole.
//!
//! # Layout
//! - this file: [`Config`], the databases and their common settings; [`Io`]
//! - `fields/`: the settings of one database, as a table, from which [`DatabaseConfig`] and
//!   `DatabaseSettings` follow · `field`: a row of it as data · `setting`: values as text · `database`: the
//!   setters that do not follow · `keepalive`: [`Keepalive`] · `tls`: the keys of [`Tls`](crate::Tls) · `fallback`: [`Fallback`]
//! - `layer`: values that know their origin · `file/`: YAML · `source`: the environment, `environment` its
//!   variables · `serde`: configurations of applications · `service`: [`ServiceRegistry`] · `quantity`: values
//!   that have a range · `position`: places in files
//! - `resolve`: `Config` → `Settings`, all checks · `alias`: further names · `report`: their problems ·
//!   `settings`: the result · `changes`: what differs between two results
//! - `explain`: where each value came from · `note`: what is worth knowing · `reference_tests`: the pages that
//!   are generated from the table
//! - `url`: reading a URL · `url_options`: its parameters · `percent`: its escapes · `address`: the endpoint of a server ·
//!   `protocol`: [`Protocol`] · `maintenance`: [`MaintenanceNotifications`]
//! - `error`: [`ConfigError`] and its [`Problem`]s · `finding`: what problems and notes consist of · `excerpt`: texts of
//!   unknown origin in messages

mod address;
mod address_map;
mod alias;
mod changes;
mod database;
mod environment;
mod error;
mod excerpt;
mod explain;
mod field;
#[macro_use]
mod fields;
mod fallback;
mod file;
mod finding;
mod keepalive;
mod layer;
mod maintenance;
mod note;
mod percent;
mod position;
mod protocol;
mod quantity;
#[cfg(test)]
mod reference_tests;
mod report;
mod resolve;
#[cfg(feature = "serde")]
mod serde;
mod service;
mod setting;
mod settings;
mod source;
mod tls;
mod url;
mod url_options;
mod username;
mod when_down;

pub(crate) use address::{Address, ClusterSeeds};
pub(crate) use address_map::AddressMap;
use alias::Alias;
pub(crate) use changes::Changes;
pub use error::{ConfigError, Problem};
pub use explain::{ExplainedSetting, Explanation};
pub use fallback::{Fallback, OnRecovery};
pub use fields::DatabaseConfig;
pub(crate) use fields::DatabaseSettings;
pub use keepalive::Keepalive;
pub use maintenance::MaintenanceNotifications;
pub use note::ConfigNote;
pub use position::FilePosition;
pub use protocol::Protocol;
pub(crate) use resolve::{resolve, resolve_change};
pub use service::{EnvironmentRegistry, Service, ServiceFuture, ServiceRegistry, StaticRegistry};
pub(crate) use settings::{MAX_WAIT, Settings};
pub(crate) use username::Username;
pub use when_down::WhenDown;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

/// The databases of a [`Supervisor`](crate::Supervisor), and their common settings.
///
/// It is plain data. Building one cannot fail; all values are checked together when the supervisor
/// starts, or by [`check`](Self::check), and all problems are reported at once. A
/// [`DatabaseConfig`] holds the settings of one database.
///
/// | source | |
/// |---|---|
/// | code | [`new`](Self::new), [`single`](Self::single), [`preset`](Self::preset); [`adjust`](Self::adjust) and [`for_all`](Self::for_all) change what comes from elsewhere |
/// | environment | [`from_env`](Self::from_env), [`override_from_env`](Self::override_from_env) |
/// | a YAML file | [`from_yaml_file`](Self::from_yaml_file), [`from_yaml_str`](Self::from_yaml_str) |
/// | file and environment | [`load`](Self::load), [`load_from`](Self::load_from) |
/// | another format | the feature `serde` |
/// | a service registry | [`service_registry`](Self::service_registry): where servers are |
///
/// Code is stronger than the environment, that than a file, a file than a URL in code and a service registry, and all
/// are stronger than the defaults. [`explain`](Self::explain) shows where each value came from, and
/// `docs/configuration.md` lists every setting with its key and its variables.
///
/// ```
/// use redis_steward::{Config, DatabaseConfig};
/// use std::time::Duration;
///
/// let config = Config::new()
///     .database("main", DatabaseConfig::from_url("redis://localhost:6379/0"))
///     .database("cache", DatabaseConfig::new().number(5).idle_timeout(Duration::from_secs(60)));
/// config.check()?;
/// # Ok::<(), redis_steward::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Config {
    databases: Vec<(String, DatabaseConfig)>,
    sweep_interval: Duration,
    io: Io,
    aliases: Vec<Alias>,
    default_database: Option<String>,
    registry: Option<Arc<dyn ServiceRegistry>>,
    /// What databases start with that are added by the environment or by [`adjust`](Self::adjust).
    common: DatabaseConfig,
    /// Whether a file has named the databases.
    is_from_file: bool,
    notes: Vec<ConfigNote>,
    /// The files that it was read from.
    files: Vec<PathBuf>,
}

impl Config {
    /// A configuration without databases. It needs at least one; otherwise the start fails with a
    /// [`ConfigError`].
    pub fn new() -> Self {
        Self {
            databases: Vec::new(),
            sweep_interval: Duration::from_secs(60),
            io: Io::default(),
            aliases: Vec::new(),
            default_database: None,
            registry: None,
            common: DatabaseConfig::new(),
            is_from_file: false,
            notes: Vec::new(),
            files: Vec::new(),
        }
    }

    /// A configuration of one database, named `main`, with the default settings.
    ///
    /// [`DatabaseConfig::from_url`] describes the URL.
    ///
    /// ```
    /// let config = redis_steward::Config::single("redis://localhost:6379/0");
    /// # config.check().unwrap();
    /// ```
    pub fn single(url: impl Into<String>) -> Self {
        Self::new().database("main", DatabaseConfig::from_url(url))
    }

    /// Adds a database under a name of 1 to 128 bytes, without whitespace and control characters.
    ///
    /// A name that is used twice is a problem that [`check`](Self::check) reports; the later database does
    /// not replace the earlier one. Several databases may have the same URL. Each has its own pool, limits
    /// and circuit, so that a slow use of a server does not disturb another one; the price is its own
    /// connections.
    pub fn database(mut self, name: impl Into<String>, database: DatabaseConfig) -> Self {
        self.databases.push((name.into(), database));
        self
    }

    /// Changes the settings of a database that is there already, for instance one from a file or from the
    /// environment. What is set here is stronger than what comes from there. A name that is not there is added.
    ///
    /// ```
    /// use redis_steward::Config;
    /// use std::time::Duration;
    ///
    /// let config = Config::single("redis://localhost")
    ///     .adjust("main", |main| main.command_timeout(Duration::from_secs(1)));
    /// # config.check().unwrap();
    /// ```
    pub fn adjust(
        mut self,
        name: impl Into<String>,
        change: impl FnOnce(DatabaseConfig) -> DatabaseConfig,
    ) -> Self {
        let name = name.into();
        match self.databases.iter_mut().find(|(known, _)| *known == name) {
            Some((_, database)) => *database = change(std::mem::take(database)),
            None => self.databases.push((name, change(self.common.clone()))),
        }
        self
    }

    /// Changes the settings of all databases that are there, and of those that a variable adds later.
    ///
    /// ```
    /// let config = redis_steward::Config::preset().for_all(|database| database.host("redis.internal"));
    /// # config.check().unwrap();
    /// ```
    pub fn for_all(mut self, change: impl Fn(DatabaseConfig) -> DatabaseConfig) -> Self {
        self.common = change(self.common);
        for (_, database) in &mut self.databases {
            *database = change(std::mem::take(database));
        }
        self
    }

    /// Finds the servers of all databases whose URL or host is given nowhere.
    pub fn service_registry(mut self, registry: impl ServiceRegistry) -> Self {
        self.registry = Some(Arc::new(registry));
        self
    }

    /// The runtime that connection tasks run on.
    ///
    /// Default: [`Io::Caller`], the fastest. Choose [`Io::Dedicated`] if the runtime is not driven all the
    /// time, or if its threads run long computations: I/O then goes on all the same.
    pub fn io(mut self, io: Io) -> Self {
        self.io = io;
        self
    }

    /// The time between two sweeps, which close idle and replace old connections, in databases
    /// without a [sweep interval of their own](DatabaseConfig::sweep_interval).
    ///
    /// Default: 60 s. Range: 1 ms to 1 year. A connection can outlive its
    /// [idle timeout](DatabaseConfig::idle_timeout) or its
    /// [lifetime](DatabaseConfig::max_lifetime) by this. A sweep is cheap, but wakes the process.
    pub fn sweep_interval(mut self, interval: Duration) -> Self {
        self.sweep_interval = interval;
        self
    }

    /// The database that stands in for names that are not configured.
    ///
    /// Default: none, so that an unknown name is [`Error::UnknownDatabase`](crate::Error::UnknownDatabase). With it, a
    /// slip in a name leads to the data of another database, and is only logged.
    pub fn default_database(mut self, name: impl Into<String>) -> Self {
        self.default_database = Some(name.into());
        self
    }

    /// What is worth knowing of the configuration though it can be used: keys of a file that have no effect, and
    /// databases that share their number by mistake perhaps. The start logs them as warnings.
    pub fn notes(&self) -> &[ConfigNote] {
        &self.notes
    }

    /// Checks the configuration as a start does, but starts nothing and opens no connection. A test can
    /// use it to check the configuration of a deployment.
    ///
    /// # Errors
    /// All problems together, each with database and field.
    pub fn check(&self) -> Result<(), ConfigError> {
        resolve(self.clone()).map(drop)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Keeps the order of the databases, and duplicates.
        struct Databases<'a>(&'a [(String, DatabaseConfig)]);
        impl fmt::Debug for Databases<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_map()
                    .entries(self.0.iter().map(|(name, database)| (name, database)))
                    .finish()
            }
        }
        f.debug_struct("Config")
            .field("databases", &Databases(&self.databases))
            .field("aliases", &self.aliases)
            .field("default_database", &self.default_database)
            .field("registry", &self.registry)
            .field("sweep_interval", &self.sweep_interval)
            .field("io", &self.io)
            .finish()
    }
}

/// The runtime that connection tasks run on; see [`Config::io`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Io {
    /// The tokio runtime in which [`Supervisor::spawn`](crate::Supervisor::spawn) was called. A caller and
    /// its connection can then share a worker thread, which is the fastest.
    ///
    /// Commands progress only while that runtime is driven. Without such a runtime, or after it has ended,
    /// connections run on a runtime of the crate's own, with one worker thread.
    #[default]
    Caller,
    /// A runtime of the crate's own, with one worker thread. I/O goes on while the threads of the
    /// application are busy. The price is a thread switch per command.
    Dedicated,
}

#[cfg(test)]
mod secrecy_tests;
