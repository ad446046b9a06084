//! Configuration from the environment.

use secrecy::SecretString;

use super::variables::{Lookup, Variables};
use crate::config::{
    Config, ConfigError, DatabaseConfig, layer::Origin, quantity, url::SecretUrl,
    username::Username,
};

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
    /// | `REDIS_PROTOCOL` | `2` | `2`, `3`, `resp2` or `resp3`, where the URL has none |
    /// | `REDIS_MAX_CONNECTIONS` | `50` | |
    /// | `REDIS_SOCKET_TIMEOUT` | `5` | seconds, decimals allowed: the command timeout |
    /// | `REDIS_HEALTH_CHECK_INTERVAL` | `30` | seconds |
    /// | `REDIS_FAILURE_THRESHOLD` | `5` | consecutive failures |
    /// | `REDIS_RECOVERY_TIMEOUT` | `1` | seconds |
    ///
    /// An empty variable counts as unset. Other settings have their defaults.
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
    let mut variables = Variables::new(lookup);
    let mut database = DatabaseConfig::new();
    let parts = read_url(&mut database, &mut variables);
    read_login(&mut database, &parts, &mut variables);
    database.read_limits(&mut variables);
    if variables.problems.is_empty() {
        Ok(Config::new().database("main", database))
    } else {
        Err(ConfigError::new(variables.problems))
    }
}

/// The parts that `REDIS_URL` has. They override the variables for them, since a URL from a
/// variable is as strong as any variable and is read last.
#[derive(Default)]
struct Parts {
    username: bool,
    password: bool,
}

/// The server of `REDIS_URL`, or else of `REDIS_HOST` and `REDIS_PORT`.
fn read_url<L: Lookup>(database: &mut DatabaseConfig, variables: &mut Variables<L>) -> Parts {
    const URL: &str = "REDIS_URL";
    let url = variables.exact(URL);
    let Some(url) = url.filter(|url| !url.trim().is_empty()) else {
        // An unusable one has been reported, and no database comes of this.
        if let (Some(host), Some(port)) = (variables.host(), variables.port()) {
            let url = SecretUrl::new(format!("redis://{host}:{port}"));
            database.url.offer(url, Origin::Variable("REDIS_HOST"));
        }
        return Parts::default();
    };
    let url = SecretUrl::new(url);
    let parts = match url.parse() {
        Ok(location) => {
            if let Some(Err(message)) = location.number.map(quantity::number) {
                variables.problem(URL, format!("{message}, as in redis://localhost:6379/0"));
            }
            let (username, password) = (location.username.is_some(), location.password.is_some());
            if username && !password && variables.is_unset("REDIS_PASSWORD") {
                variables.problem(
                    URL,
                    "has a user name without a password; set REDIS_PASSWORD",
                );
            }
            Parts { username, password }
        }
        Err(messages) => {
            for message in messages {
                variables.problem(URL, message);
            }
            // Such a URL may have any part. Its own problems are enough to correct.
            Parts {
                username: true,
                password: true,
            }
        }
    };
    database.url.offer(url, Origin::Variable(URL));
    parts
}

fn read_login<L: Lookup>(
    database: &mut DatabaseConfig,
    parts: &Parts,
    variables: &mut Variables<L>,
) {
    const NUMBER: &str = "REDIS_DB";
    const USERNAME: &str = "REDIS_USERNAME";
    const PASSWORD: &str = "REDIS_PASSWORD";
    const PROTOCOL: &str = "REDIS_PROTOCOL";
    if let Some(number) = variables.number(NUMBER) {
        let origin = Origin::Variable(NUMBER);
        database.number.offer(Some(number), origin);
    }
    if let Some(protocol) = variables.protocol(PROTOCOL) {
        let origin = Origin::Variable(PROTOCOL);
        database.protocol.offer(Some(protocol), origin);
    }
    if let Some(username) = variables.text(USERNAME) {
        if !parts.username && !parts.password && variables.is_unset(PASSWORD) {
            variables.problem(USERNAME, "comes without a password; set REDIS_PASSWORD");
        }
        let (username, origin) = (Username::new(username), Origin::Variable(USERNAME));
        database.username.offer(Some(username), origin);
    }
    if let Some(password) = variables.exact(PASSWORD) {
        let (password, origin) = (SecretString::from(password), Origin::Variable(PASSWORD));
        database.password.offer(Some(password), origin);
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
