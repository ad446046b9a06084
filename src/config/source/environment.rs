//! Configuration from the environment.

use super::variables::{Environment, Lookup};
use crate::config::{Config, ConfigError, DatabaseConfig, limits, url::Location};

impl Config {
    /// One database named `main`, from environment variables:
    ///
    /// | variable | default | |
    /// |---|---|---|
    /// | `REDIS_URL` | | replaces `REDIS_HOST` and `REDIS_PORT` |
    /// | `REDIS_HOST` | `localhost` | host name or IP address |
    /// | `REDIS_PORT` | `6379` | |
    /// | `REDIS_DB` | `0` | number, where the URL has none |
    /// | `REDIS_USERNAME` | | where the URL has none |
    /// | `REDIS_PASSWORD` | | where the URL has none |
    /// | `REDIS_MAX_CONNECTIONS` | `50` | |
    /// | `REDIS_SOCKET_TIMEOUT` | `5` | seconds, decimals allowed: the command timeout |
    /// | `REDIS_HEALTH_CHECK_INTERVAL` | `30` | seconds |
    /// | `REDIS_FAILURE_THRESHOLD` | `5` | consecutive failures |
    /// | `REDIS_RECOVERY_TIMEOUT` | `60` | seconds |
    ///
    /// An empty variable counts as unset.
    ///
    /// # Errors
    /// All variables that cannot be used, together. The values of `REDIS_URL` and `REDIS_PASSWORD`
    /// are never shown.
    ///
    /// ```
    /// use redis_steward::Config;
    ///
    /// let config = Config::from_env()?;
    /// # Ok::<(), redis_steward::ConfigError>(())
    /// ```
    pub fn from_env() -> Result<Self, ConfigError> {
        from_lookup(|variable| std::env::var_os(variable))
    }
}

/// [`Config::from_env`] with the environment as an argument, since a process has only one and tests
/// run side by side.
fn from_lookup(lookup: impl Lookup) -> Result<Config, ConfigError> {
    let mut environment = Environment::new(lookup);
    let database = database(&mut environment);
    if environment.problems.is_empty() {
        Ok(Config::new().database("main", database))
    } else {
        Err(ConfigError::new(environment.problems))
    }
}

fn database<L: Lookup>(environment: &mut Environment<L>) -> DatabaseConfig {
    let (mut config, given) = server(environment);

    let number = environment.read("REDIS_DB", "0", "a database number", limits::number);
    if let Some(number) = number.filter(|_| !given.number) {
        config = config.number(number);
    }
    let has_password = given.password || !environment.is_unset("REDIS_PASSWORD");
    if let Some(username) = environment
        .text("REDIS_USERNAME")
        .filter(|_| !given.username)
    {
        if !has_password {
            environment.problem(
                "REDIS_USERNAME",
                "comes without a password; set REDIS_PASSWORD",
            );
        }
        config = config.username(username);
    }
    if let Some(password) = environment
        .exact("REDIS_PASSWORD")
        .filter(|_| !given.password)
    {
        config = config.password(password);
    }
    tuned(config, environment)
}

/// Which of these a URL gives, so that the variables for them do not apply.
#[derive(Default)]
struct Given {
    number: bool,
    username: bool,
    password: bool,
}

/// The server of `REDIS_URL`, or else of `REDIS_HOST` and `REDIS_PORT`.
fn server<L: Lookup>(environment: &mut Environment<L>) -> (DatabaseConfig, Given) {
    const URL: &str = "REDIS_URL";
    let Some(url) = environment.exact(URL).filter(|url| !url.trim().is_empty()) else {
        let config = match (environment.host(), environment.port()) {
            (Some(host), Some(port)) => DatabaseConfig::from_url(format!("redis://{host}:{port}")),
            // Their problems are told, and no database comes of this.
            _ => DatabaseConfig::new(),
        };
        return (config, Given::default());
    };
    let given = match Location::parse(&url) {
        Ok(location) => {
            if let Some(Err(message)) = location.number.map(limits::number) {
                environment.problem(URL, format!("{message}, as in redis://localhost:6379/0"));
            }
            let (username, password) = (location.username.is_some(), location.password.is_some());
            if username && !password && environment.is_unset("REDIS_PASSWORD") {
                environment.problem(
                    URL,
                    "has a user name without a password; set REDIS_PASSWORD",
                );
            }
            let number = location.number.is_some();
            Given {
                number,
                username,
                password,
            }
        }
        Err(messages) => {
            for message in messages {
                environment.problem(URL, message);
            }
            // Nobody can tell what such a URL gives. Its own problems are enough to correct.
            Given {
                number: true,
                username: true,
                password: true,
            }
        }
    };
    (DatabaseConfig::from_url(url), given)
}

/// The limits and intervals.
fn tuned<L: Lookup>(
    mut config: DatabaseConfig,
    environment: &mut Environment<L>,
) -> DatabaseConfig {
    const WHOLE: &str = "a whole number";
    let connections = |value| limits::count(value, &limits::CONNECTIONS);
    let failures = |value| limits::count(value, &limits::FAILURES);

    if let Some(most) = environment.read("REDIS_MAX_CONNECTIONS", "50", WHOLE, connections) {
        config = config.max_connections(most as usize);
    }
    if let Some(timeout) = environment.seconds("REDIS_SOCKET_TIMEOUT", "5") {
        config = config.command_timeout(timeout);
    }
    if let Some(interval) = environment.seconds("REDIS_HEALTH_CHECK_INTERVAL", "30") {
        config = config.health_check_interval(interval);
    }
    if let Some(threshold) = environment.read("REDIS_FAILURE_THRESHOLD", "5", WHOLE, failures) {
        config = config.failure_threshold(threshold as u32);
    }
    if let Some(timeout) = environment.seconds("REDIS_RECOVERY_TIMEOUT", "60") {
        config = config.recovery_timeout(timeout);
    }
    config
}

#[cfg(test)]
#[path = "environment_tests.rs"]
mod tests;
