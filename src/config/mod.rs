//! Configuration: plain data with setters, read from code or from the environment, and checked as a
//! whole.
//!
//! # Layout
//! - this file: [`Config`], the databases and what they share; [`Io`]
//! - `database`: [`DatabaseConfig`], one database · `keepalive`: [`Keepalive`]
//! - `source`: [`Config::from_env`] · `environment`: reading variables
//! - `resolve`: `Config` → `Settings`, all checks · `limits`: the ranges · `settings`: the result
//! - `location`: reading a URL · `percent`: its escapes · `address`: where a server listens
//! - `error`: [`ConfigError`] and its [`Problem`]s

mod address;
mod database;
mod environment;
mod error;
mod keepalive;
mod limits;
mod location;
mod percent;
mod resolve;
mod settings;
mod source;

pub(crate) use address::Address;
pub use database::DatabaseConfig;
pub use error::{ConfigError, Problem};
pub use keepalive::Keepalive;
pub(crate) use limits::MAX_WAIT;
pub(crate) use resolve::resolve;
pub(crate) use settings::{DatabaseSettings, Settings};

use std::fmt;
use std::time::Duration;

/// The databases a supervisor looks after, and what they share.
///
/// Plain data: building one cannot fail, and nothing is checked on the way. Everything is checked
/// together when the supervisor starts, or by [`check`](Self::check).
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
    /// A configuration without databases. It needs at least one before it can be used.
    pub fn new() -> Self {
        Self {
            databases: Vec::new(),
            sweep_interval: Duration::from_secs(60),
            io: Io::default(),
        }
    }

    /// A configuration of one database, named `main`.
    ///
    /// ```
    /// let config = redis_steward::Config::single("redis://localhost:6379/0");
    /// # config.check().unwrap();
    /// ```
    pub fn single(url: impl Into<String>) -> Self {
        Self::new().database("main", DatabaseConfig::from_url(url))
    }

    /// Adds a database under a name of 1 to 128 bytes without whitespace. A name that is already
    /// taken is a problem for [`check`](Self::check); it replaces nothing.
    pub fn database(mut self, name: impl Into<String>, database: DatabaseConfig) -> Self {
        self.databases.push((name.into(), database));
        self
    }

    /// Where connection tasks run. Default [`Io::Caller`].
    pub fn io(mut self, io: Io) -> Self {
        self.io = io;
        self
    }

    /// How often connections are looked at that are idle or old, in databases without a
    /// [sweep interval of their own](DatabaseConfig::sweep_interval). Default 60 s; range 1 ms to 1
    /// year.
    pub fn sweep_interval(mut self, interval: Duration) -> Self {
        self.sweep_interval = interval;
        self
    }

    /// Checks everything a start would check, without starting anything: for tests of a
    /// deployment's configuration.
    ///
    /// # Errors
    /// All problems together.
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

/// Where connection tasks run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Io {
    /// On the tokio runtime in which `Supervisor::spawn` was called, so that a caller and its
    /// connection can share a worker thread, which is the fastest; on a runtime of the crate's own
    /// when there is none.
    #[default]
    Caller,
    /// Always on a runtime of the crate's own, with one worker thread: I/O goes on while the
    /// application's threads are busy, at the price of a thread switch per command.
    Dedicated,
}

#[cfg(test)]
mod secrecy_tests;
