//! Configuration: plain data with setters, read from code or from the environment, and checked as a
//! whole.
//!
//! # Layout
//! - this file: [`Config`], the databases and their common settings; [`Io`]
//! - `fields/`: the settings of one database, as a table, from which [`DatabaseConfig`] and
//!   `DatabaseSettings` follow · `database`: the setters that do not · `keepalive`: [`Keepalive`] ·
//!   `fallback`: [`Fallback`]
//! - `layer`: values that know their origin · `source`: [`Config::from_env`] · `variables`: reading
//!   single variables · `quantity`: values that have a range
//! - `resolve`: `Config` → `Settings`, all checks · `report`: their problems · `settings`: the
//!   result · `changes`: what differs from the present ones
//! - `url`: reading a URL · `percent`: its escapes · `address`: the endpoint of a server ·
//!   `protocol`: [`Protocol`]
//! - `error`: [`ConfigError`] and its [`Problem`]s

mod address;
mod changes;
mod database;
mod error;
#[macro_use]
mod fields;
mod fallback;
mod keepalive;
mod layer;
mod percent;
mod protocol;
mod quantity;
mod report;
mod resolve;
mod settings;
mod source;
mod url;
mod username;
mod variables;
mod when_down;

pub(crate) use address::Address;
pub(crate) use changes::Changes;
pub use error::{ConfigError, Problem};
pub use fallback::{Fallback, OnRecovery};
pub use fields::DatabaseConfig;
pub(crate) use fields::DatabaseSettings;
pub use keepalive::Keepalive;
pub use protocol::Protocol;
pub(crate) use resolve::{resolve, resolve_change};
pub(crate) use settings::{MAX_WAIT, Settings};
pub use when_down::WhenDown;

use std::{fmt, time::Duration};

/// The databases of a [`Supervisor`](crate::Supervisor), and their common settings.
///
/// It is plain data. Building one cannot fail; all values are checked together when the supervisor
/// starts, or by [`check`](Self::check), and all problems are reported at once. A
/// [`DatabaseConfig`] holds the settings of one database. [`from_env`](Self::from_env) reads a
/// configuration from the environment.
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
}

impl Config {
    /// A configuration without databases. It needs at least one; otherwise the start fails with a
    /// [`ConfigError`].
    pub fn new() -> Self {
        Self {
            databases: Vec::new(),
            sweep_interval: Duration::from_secs(60),
            io: Io::default(),
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
