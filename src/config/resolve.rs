//! `Config` → `Settings`: every check, and the defaults that depend on other settings.

use super::error::{ConfigError, Problem};
use super::limits::{self, seconds};
use super::location::Location;
use super::{Config, DatabaseConfig, DatabaseSettings, Keepalive, Settings};
use secrecy::{ExposeSecret, SecretString};
use std::collections::HashSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Seals a configuration, or says everything that is wrong with it.
pub(crate) fn resolve(config: Config) -> Result<Settings, ConfigError> {
    let mut report = Report {
        database: None,
        problems: Vec::new(),
    };
    if config.databases.is_empty() {
        report.add(
            "databases",
            "none is configured; add at least one with Config::database",
        );
    }
    report.duration("sweep_interval", config.sweep_interval, &limits::DURATION);

    let mut names = HashSet::new();
    let mut databases = Vec::with_capacity(config.databases.len());
    for (name, database) in &config.databases {
        report.database = Some(name);
        check_name(name, &mut report);
        if !names.insert(name) {
            report.add(
                "name",
                "is given to more than one database; every database needs its own",
            );
        }
        databases.extend(resolve_database(name, database, &mut report).map(Arc::new));
    }

    if !report.problems.is_empty() {
        return Err(ConfigError::new(report.problems));
    }
    Ok(Settings {
        databases,
        sweep_interval: config.sweep_interval,
        io: config.io,
    })
}

/// The settings of one database; `None` where they cannot even be written down, which the report
/// explains.
fn resolve_database(
    name: &str,
    config: &DatabaseConfig,
    report: &mut Report<'_>,
) -> Option<DatabaseSettings> {
    let command_timeout = config.command_timeout;
    let attempt_timeout = config
        .attempt_timeout
        .unwrap_or(command_timeout.min(Duration::from_secs(1)));
    let connect_timeout = config
        .connect_timeout
        .unwrap_or((command_timeout / 2).min(Duration::from_secs(2)));

    check_timeouts(config, report);
    check_sockets(config, report);
    check_limits(config, report);
    let login = resolve_login(config, report);
    let client_name = resolve_client_name(name, config, report);
    let (location, username, password) = login?;

    Some(DatabaseSettings {
        name: name.into(),
        address: location.address,
        number: config.number.or(location.number).unwrap_or(0),
        username,
        password,
        client_name,
        command_timeout,
        attempt_timeout,
        connect_timeout,
        max_connections: config.max_connections,
        min_idle: config.min_idle,
        idle_timeout: config.idle_timeout,
        keepalive: config.keepalive,
        tcp_user_timeout: config.tcp_user_timeout,
        health_check_interval: config.health_check_interval,
        failure_threshold: config.failure_threshold,
        recovery_timeout: config.recovery_timeout,
        max_in_flight: config.max_in_flight,
        max_in_flight_bytes: config.max_in_flight_bytes,
        max_parked: config.max_parked,
        max_reply_bytes: config.max_reply_bytes,
        allow_admin: config.allow_admin,
    })
}

fn check_name(name: &str, report: &mut Report<'_>) {
    if name.is_empty() {
        report.add("name", "is empty");
    }
    if name.len() > limits::NAME_BYTES {
        report.add(
            "name",
            format!(
                "has {} bytes; use at most {}",
                name.len(),
                limits::NAME_BYTES
            ),
        );
    }
    if name.contains(|c: char| c.is_control() || c.is_whitespace()) {
        report.add("name", "holds whitespace or a control character");
    }
}

fn check_timeouts(config: &DatabaseConfig, report: &mut Report<'_>) {
    const ADVICE: &str = "lower it or raise command_timeout";
    let command = config.command_timeout;
    let range = &limits::DURATION;
    report.duration("command_timeout", command, range);
    report.duration("idle_timeout", config.idle_timeout, range);
    report.duration("health_check_interval", config.health_check_interval, range);
    report.duration("recovery_timeout", config.recovery_timeout, range);

    // Defaults follow the command timeout, so only explicit values can disagree with it.
    if let Some(attempt) = config.attempt_timeout
        && report.duration("attempt_timeout", attempt, range)
        && attempt > command
    {
        let (attempt, command) = (seconds(attempt), seconds(command));
        report.add(
            "attempt_timeout",
            format!("{attempt} is above the command timeout of {command}; {ADVICE}"),
        );
    }
    if let Some(connect) = config.connect_timeout
        && report.duration("connect_timeout", connect, range)
        && connect >= command
    {
        let (connect, command) = (seconds(connect), seconds(command));
        report.add(
            "connect_timeout",
            format!("{connect} is not below the command timeout of {command}; {ADVICE}"),
        );
    }
}

fn check_sockets(config: &DatabaseConfig, report: &mut Report<'_>) {
    if let Some(Keepalive {
        idle,
        interval,
        count,
    }) = config.keepalive
    {
        for (field, time) in [("keepalive.idle", idle), ("keepalive.interval", interval)] {
            if report.duration(field, time, &limits::KEEPALIVE) && time.subsec_nanos() != 0 {
                report.add(
                    field,
                    format!("{} is not a whole number of seconds", seconds(time)),
                );
            }
        }
        report.count(
            "keepalive.count",
            u64::from(count),
            &limits::KEEPALIVE_COUNT,
        );
    }
    if let Some(timeout) = config.tcp_user_timeout {
        report.duration("tcp_user_timeout", timeout, &limits::TCP_USER_TIMEOUT);
    }
}

fn check_limits(config: &DatabaseConfig, report: &mut Report<'_>) {
    let connections = report.count(
        "max_connections",
        config.max_connections as u64,
        &limits::CONNECTIONS,
    );
    let idle = report.count(
        "min_idle",
        config.min_idle as u64,
        &limits::IDLE_CONNECTIONS,
    );
    if connections && idle && config.min_idle > config.max_connections {
        report.add(
            "min_idle",
            format!(
                "{} is above max_connections, {}",
                config.min_idle, config.max_connections
            ),
        );
    }
    report.count(
        "failure_threshold",
        u64::from(config.failure_threshold),
        &limits::FAILURES,
    );
    report.count(
        "max_in_flight",
        config.max_in_flight as u64,
        &limits::COMMANDS,
    );
    report.count(
        "max_in_flight_bytes",
        config.max_in_flight_bytes as u64,
        &limits::BYTES_IN_FLIGHT,
    );
    report.count("max_parked", config.max_parked as u64, &limits::COUNT);
    report.count(
        "max_reply_bytes",
        config.max_reply_bytes as u64,
        &limits::BYTES,
    );
}

/// Where to connect and as whom, the setters before the URL; `None` if the URL cannot be read.
fn resolve_login(
    config: &DatabaseConfig,
    report: &mut Report<'_>,
) -> Option<(Location, Option<String>, Option<SecretString>)> {
    if config.username.as_deref() == Some("") {
        report.add(
            "username",
            "is empty; leave it out to log in as the server's default user",
        );
    }
    if config
        .password
        .as_ref()
        .is_some_and(|password| password.expose_secret().is_empty())
    {
        report.add("password", "is empty; leave it out to connect without one");
    }
    if let Some(Err(message)) = config.number.map(limits::number) {
        report.add("number", message);
    }

    let mut location = match Location::parse(config.url.expose_secret()) {
        Ok(location) => location,
        Err(messages) => {
            for message in messages {
                report.add("url", message);
            }
            return None;
        }
    };
    if let (None, Some(Err(message))) = (config.number, location.number.map(limits::number)) {
        report.add("url", message);
    }
    let username = config.username.clone().or(location.username.take());
    let password = config.password.clone().or(location.password.take());
    if username.is_some() && password.is_none() {
        report.add(
            "username",
            "comes without a password; set one, or leave the user name out",
        );
    }
    Some((location, username, password))
}

fn resolve_client_name(name: &str, config: &DatabaseConfig, report: &mut Report<'_>) -> String {
    let visible = |c: char| ('!'..='~').contains(&c);
    let Some(client_name) = &config.client_name else {
        let name = name.replace(|c| !visible(c), "_");
        return format!("redis-steward:{name}");
    };
    if client_name.is_empty()
        || client_name.len() > limits::NAME_BYTES
        || !client_name.chars().all(visible)
    {
        report.add(
            "client_name",
            format!(
                "is not made of 1 to {} visible ASCII characters, as in worker-1",
                limits::NAME_BYTES
            ),
        );
    }
    client_name.clone()
}

/// The problems found so far, and the database now looked at.
struct Report<'a> {
    database: Option<&'a str>,
    problems: Vec<Problem>,
}

impl Report<'_> {
    fn add(&mut self, field: &str, message: impl Display) {
        self.problems
            .push(Problem::new(self.database, field, message.to_string()));
    }

    /// Reports a duration outside its range; `true` if it is inside.
    fn duration(&mut self, field: &str, value: Duration, range: &RangeInclusive<Duration>) -> bool {
        let checked = limits::duration(value, range);
        if let Err(message) = &checked {
            self.add(field, message);
        }
        checked.is_ok()
    }

    /// Reports a count outside its range; `true` if it is inside.
    fn count(&mut self, field: &str, value: u64, range: &RangeInclusive<u64>) -> bool {
        let checked = limits::count(value, range);
        if let Err(message) = &checked {
            self.add(field, message);
        }
        checked.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const S: Duration = Duration::from_secs(1);

    /// The settings of a good database named `main`.
    fn good(database: DatabaseConfig) -> DatabaseSettings {
        let settings = resolve(Config::new().database("main", database)).unwrap();
        (*settings.databases[0]).clone()
    }

    fn problems(config: Config) -> String {
        resolve(config)
            .expect_err("the configuration was accepted")
            .to_string()
    }

    #[test]
    fn defaults() {
        let settings = resolve(Config::single("redis://u:p@h:1/2")).unwrap();
        assert_eq!(settings.sweep_interval, 60 * S);
        let main = &settings.databases[0];
        assert_eq!(
            (&*main.name, main.address.to_string(), main.number),
            ("main", "h:1".into(), 2)
        );
        assert_eq!(
            (main.username.as_deref(), main.client_name.as_str()),
            (Some("u"), "redis-steward:main")
        );
        assert_eq!(
            (
                main.command_timeout,
                main.attempt_timeout,
                main.connect_timeout
            ),
            (5 * S, S, 2 * S)
        );
    }

    #[test]
    fn timeouts_left_out_follow_the_command_timeout() {
        for (command, attempt, connect) in [
            (60 * S, S, 2 * S),
            (3 * S, S, 1500 * MS),
            (500 * MS, 500 * MS, 250 * MS),
        ] {
            let settings = good(DatabaseConfig::new().command_timeout(command));
            assert_eq!(
                (settings.attempt_timeout, settings.connect_timeout),
                (attempt, connect),
                "{command:?}"
            );
        }
        assert!(good(DatabaseConfig::new().command_timeout(MS)).connect_timeout > Duration::ZERO);
    }

    #[test]
    fn setters_win_over_the_url() {
        let config = DatabaseConfig::from_url("redis://u:p@h/1")
            .number(2)
            .username("v")
            .password("q");
        let settings = good(config.client_name("worker-1"));
        let password = settings
            .password
            .as_ref()
            .map(|password| password.expose_secret());
        assert_eq!(
            (settings.number, settings.username.as_deref(), password),
            (2, Some("v"), Some("q"))
        );
        assert_eq!(settings.client_name, "worker-1");
        // A number that a setter replaces is nobody's concern.
        assert_eq!(
            good(DatabaseConfig::from_url("redis://h/-7").number(2)).number,
            2
        );
    }

    #[test]
    fn the_default_client_name_is_visible_ascii() {
        let settings = resolve(Config::new().database("größe", DatabaseConfig::new())).unwrap();
        assert_eq!(settings.databases[0].client_name, "redis-steward:gr__e");
    }

    #[test]
    fn bad_values_name_their_field() {
        let new = DatabaseConfig::new;
        for (config, expected) in [
            (new().number(-1), "number: -1 is no database number"),
            (
                DatabaseConfig::from_url("redis://h/65536"),
                "url: 65536 is no database number",
            ),
            (
                DatabaseConfig::from_url("h:1"),
                "url: does not start with a known scheme",
            ),
            (new().username("u"), "username: comes without a password"),
            (
                DatabaseConfig::from_url("redis://u@h"),
                "username: comes without a password",
            ),
            (new().username("").password("p"), "username: is empty"),
            (new().password(""), "password: is empty"),
            (new().client_name(""), "client_name: is not made of"),
            (new().client_name("a b"), "client_name: is not made of"),
            (new().client_name("é"), "client_name: is not made of"),
            (
                new().command_timeout(Duration::ZERO),
                "command_timeout: 0 s is too short",
            ),
            (
                new().command_timeout(Duration::MAX),
                "command_timeout: 18446744073709552000 s is too long",
            ),
            (
                new().attempt_timeout(Duration::ZERO),
                "attempt_timeout: 0 s is too short",
            ),
            (
                new().attempt_timeout(6 * S),
                "attempt_timeout: 6 s is above the command timeout of 5 s",
            ),
            (
                new().connect_timeout(Duration::ZERO),
                "connect_timeout: 0 s is too short",
            ),
            (
                new().connect_timeout(5 * S),
                "connect_timeout: 5 s is not below the command timeout of 5 s; lower it",
            ),
            (new().idle_timeout(Duration::ZERO), "idle_timeout: 0 s"),
            (
                new().health_check_interval(Duration::ZERO),
                "health_check_interval: 0 s",
            ),
            (
                new().recovery_timeout(366 * 86_400 * S),
                "recovery_timeout: 31622400 s is too long",
            ),
            (
                new().tcp_user_timeout(Duration::ZERO),
                "tcp_user_timeout: 0 s",
            ),
            (
                new().keepalive(Keepalive::new().idle(MS)),
                "keepalive.idle: 0.001 s is too short",
            ),
            (
                new().keepalive(Keepalive::new().interval(1500 * MS)),
                "keepalive.interval: 1.5 s is not a whole number",
            ),
            (
                new().keepalive(Keepalive::new().count(128)),
                "keepalive.count: 128 is too large",
            ),
            (new().max_connections(0), "max_connections: 0 is too small"),
            (
                new().min_idle(51),
                "min_idle: 51 is above max_connections, 50",
            ),
            (
                new().failure_threshold(0),
                "failure_threshold: 0 is too small",
            ),
            (new().max_in_flight(0), "max_in_flight: 0 is too small"),
            (
                new().max_in_flight(1 << 23),
                "max_in_flight: 8388608 is too large",
            ),
            (
                new().max_in_flight_bytes(1023),
                "max_in_flight_bytes: 1023 is too small",
            ),
            (new().max_parked(0), "max_parked: 0 is too small"),
            (
                new().max_reply_bytes(1023),
                "max_reply_bytes: 1023 is too small",
            ),
        ] {
            let told = problems(Config::new().database("cache", config));
            assert!(told.starts_with("1 problem in"), "{told}");
            assert!(
                told.contains(&format!("\n  database \"cache\": {expected}")),
                "{told}"
            );
        }
    }

    #[test]
    fn bad_names() {
        let long = "x".repeat(129);
        for name in ["", " ", "a b", "a\n", "\u{2003}", &long] {
            let told = problems(Config::new().database(name, DatabaseConfig::new()));
            assert!(told.contains(": name: "), "{name:?}: {told}");
        }
        assert!(resolve(Config::new().database("x".repeat(128), DatabaseConfig::new())).is_ok());
    }

    #[test]
    fn everything_is_told_at_once() {
        let told = problems(
            Config::new()
                .sweep_interval(Duration::ZERO)
                .database("a", DatabaseConfig::from_url("nonsense").max_parked(0))
                .database("a", DatabaseConfig::new().min_idle(99)),
        );
        let expected = [
            "5 problems in the configuration:",
            "  sweep_interval: 0 s is too short",
            "  database \"a\": max_parked: 0",
            "  database \"a\": url: does not",
            "  database \"a\": name: is given to more than one",
            "  database \"a\": min_idle: 99",
        ];
        assert_eq!(told.lines().count(), expected.len(), "{told}");
        for (line, expected) in told.lines().zip(expected) {
            assert!(line.starts_with(expected), "{told}");
        }
        assert!(problems(Config::new()).contains("databases: none is configured"));
    }
}
