//! The sixteen databases of the preset, by name and number.

use std::{error::Error, fmt, str::FromStr};

use crate::{
    config::{Config, DatabaseConfig},
    database::Database,
    error,
    name::DatabaseName,
    nearest::hint,
    supervisor::Supervisor,
};

/// From the rows of the table: the enumeration with its names and numbers.
macro_rules! databases {
    ($(#[doc = $doc:literal] $variant:ident = $number:literal, $name:literal $(, alias $alias:literal)?;)+) => {
        /// The databases of [`Config::preset`]: one server, sixteen numbers, and a name for each.
        ///
        /// It stands wherever a name of a database does, and always for its own number and name:
        ///
        /// ```
        /// # use redis_steward::{Config, Error, RedisDatabase, Supervisor};
        /// # #[tokio::main(flavor = "current_thread")]
        /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// let config = Config::preset().for_all(|database| database.host("localhost"));
        /// let supervisor = Supervisor::spawn(config).await?;
        /// let sessions = supervisor.database(RedisDatabase::Sessions)?;
        /// assert_eq!(RedisDatabase::Sessions.number(), 6);
        /// # Ok(())
        /// # }
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum RedisDatabase {
            $(#[doc = $doc] $variant = $number,)+
        }

        impl RedisDatabase {
            /// All of them, by number.
            pub const ALL: [Self; 16] = [$(Self::$variant,)+];

            /// The name of the database: that of the variant, in small letters.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// A further name, by which the preset knows the database as well.
            pub const fn alias(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => alias!($($alias)?),)+
                }
            }
        }
    };
}

macro_rules! alias {
    () => {
        None
    };
    ($alias:literal) => {
        Some($alias)
    };
}

databases! {
    /// Queues and general state.
    Main = 0, "main";
    /// Knowledge bases.
    Knowledge = 1, "knowledge";
    /// Prompt templates.
    Prompts = 2, "prompts";
    /// Messages of agents.
    Agents = 3, "agents";
    /// Samples of metrics.
    Metrics = 4, "metrics";
    /// The history of logs.
    Logs = 5, "logs";
    /// Sessions of users.
    Sessions = 6, "sessions";
    /// The state of workflows.
    Workflows = 7, "workflows";
    /// Vectors.
    Vectors = 8, "vectors";
    /// Models; also known as `memory`.
    Models = 9, "models", alias "memory";
    /// The audit log.
    Audit = 10, "audit";
    /// Analytics.
    Analytics = 11, "analytics";
    /// Notifications.
    Notifications = 12, "notifications";
    /// Jobs.
    Jobs = 13, "jobs";
    /// Search indexes.
    Search = 14, "search";
    /// Time series; also known as `testing`.
    Timeseries = 15, "timeseries", alias "testing";
}

impl RedisDatabase {
    /// Another name of [`Models`](Self::Models).
    pub const MEMORY: Self = Self::Models;
    /// Another name of [`Timeseries`](Self::Timeseries).
    pub const TESTING: Self = Self::Timeseries;

    /// The number of the database on its server, 0 to 15.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The database of a number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// The name.
impl fmt::Display for RedisDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// By name or alias, in capital or small letters.
impl FromStr for RedisDatabase {
    type Err = UnknownRedisDatabase;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_named = |database: &Self| {
            let names = [Some(database.name()), database.alias()];
            names
                .into_iter()
                .flatten()
                .any(|name| name.eq_ignore_ascii_case(text))
        };
        let found = Self::ALL.into_iter().find(is_named);
        found.ok_or_else(|| UnknownRedisDatabase { name: text.into() })
    }
}

/// A text names no database of the preset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownRedisDatabase {
    name: String,
}

impl fmt::Display for UnknownRedisDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = RedisDatabase::ALL.map(RedisDatabase::name);
        let hint = hint(&self.name, names.into_iter());
        let names = names.join(", ");
        write!(f, "{:?} is none of {names}{hint}", self.name)
    }
}

impl Error for UnknownRedisDatabase {}

impl From<RedisDatabase> for DatabaseName<'_> {
    fn from(database: RedisDatabase) -> Self {
        database.name().into()
    }
}

impl From<RedisDatabase> for String {
    fn from(database: RedisDatabase) -> Self {
        database.name().into()
    }
}

impl Config {
    /// The sixteen databases of [`RedisDatabase`] on the server of this machine, with the aliases `memory` and
    /// `testing`.
    ///
    /// Say where the server is with [`for_all`](Self::for_all), or let the environment say it:
    /// [`override_from_env`](Self::override_from_env).
    ///
    /// ```
    /// let config = redis_steward::Config::preset().for_all(|database| database.host("redis.internal"));
    /// config.check()?;
    /// # Ok::<(), redis_steward::ConfigError>(())
    /// ```
    pub fn preset() -> Self {
        RedisDatabase::ALL
            .into_iter()
            .fold(Self::new(), |config, database| {
                let settings = DatabaseConfig::new().number(database.number().into());
                let config = config.database(database, settings);
                match database.alias() {
                    Some(alias) => config.alias(alias, database),
                    None => config,
                }
            })
    }
}

/// From the rows: a method for each.
macro_rules! accessors {
    ($($name:ident: $text:literal;)+) => {
        /// Databases of the preset by method, for programs that know their names.
        ///
        /// The trait is to be imported, so that other programs do not see its methods. Each method is
        /// [`Supervisor::database`] with the name of the method, and has its errors.
        ///
        /// ```
        /// use redis_steward::{Config, PresetDatabases, Supervisor};
        /// # #[tokio::main(flavor = "current_thread")]
        /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// let supervisor = Supervisor::spawn(Config::preset()).await?;
        /// let sessions = supervisor.sessions()?;
        /// # Ok(())
        /// # }
        /// ```
        pub trait PresetDatabases {
            $(
                #[doc = concat!("The database `", $text, "`.")]
                ///
                /// # Errors
                ///
                /// [`Error::UnknownDatabase`](crate::Error::UnknownDatabase) if it is not configured.
                fn $name(&self) -> Result<Database, error::Error>;
            )+
        }

        impl PresetDatabases for Supervisor {
            $(
                fn $name(&self) -> Result<Database, error::Error> {
                    self.database($text)
                }
            )+
        }
    };
}

accessors! {
    main: "main";
    knowledge: "knowledge";
    prompts: "prompts";
    agents: "agents";
    metrics: "metrics";
    sessions: "sessions";
    workflows: "workflows";
    vectors: "vectors";
    models: "models";
    memory: "memory";
    analytics: "analytics";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve;

    #[test]
    fn every_variant_has_its_own_number_and_name_and_both_lead_back() {
        for (number, database) in (0_u8..).zip(RedisDatabase::ALL) {
            assert_eq!(database.number(), number);
            assert_eq!(RedisDatabase::from_number(number), Some(database));
            assert_eq!(format!("{database:?}").to_lowercase(), database.name());
            assert_eq!(database.name().parse(), Ok(database));
            assert_eq!(database.name().to_uppercase().parse(), Ok(database));
            if let Some(alias) = database.alias() {
                assert_eq!(alias.parse(), Ok(database));
            }
        }
        assert_eq!(RedisDatabase::from_number(16), None);
        let error = "sesions".parse::<RedisDatabase>().expect_err("unknown");
        let error = error.to_string();
        assert!(
            error.starts_with("\"sesions\" is none of main, knowledge, "),
            "{error}"
        );
        assert!(error.ends_with("did you mean sessions?"), "{error}");
        assert_eq!(RedisDatabase::MEMORY.number(), 9);
        assert_eq!(RedisDatabase::TESTING.name(), "timeseries");
    }

    #[test]
    fn the_preset_gives_each_name_its_number() {
        let settings = resolve(Config::preset()).expect("a valid preset");
        assert_eq!(settings.databases.len(), 16);
        for (settings, database) in settings.databases.iter().zip(RedisDatabase::ALL) {
            assert_eq!(&*settings.name, database.name());
            assert_eq!(settings.number, i64::from(database.number()));
        }
        let aliases = [
            ("memory".into(), "models".into()),
            ("testing".into(), "timeseries".into()),
        ];
        assert_eq!(settings.aliases, aliases);
    }
}
