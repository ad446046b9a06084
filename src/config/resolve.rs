//! `Config` → `Settings`: every check, and the defaults that depend on other settings.

use std::{collections::HashSet, fmt::Display, ops::RangeInclusive, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use super::{
    Config, ConfigError, DatabaseConfig, DatabaseSettings, Keepalive, Problem, Settings,
    limits::{self, seconds},
    settings::Username,
    url::Location,
};

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
        databases.extend(
            resolve_database(name, database, config.sweep_interval, &mut report).map(Arc::new),
        );
    }

    if !report.problems.is_empty() {
        return Err(ConfigError::new(report.problems));
    }
    Ok(Settings {
        databases,
        io: config.io,
    })
}

/// The settings of one database; `None` where they cannot even be written down, which the report
/// explains.
fn resolve_database(
    name: &str,
    config: &DatabaseConfig,
    sweep_interval: Duration,
    report: &mut Report<'_>,
) -> Option<DatabaseSettings> {
    let command_timeout = config.command_timeout;
    let attempt_timeout = config
        .attempt_timeout
        .unwrap_or(command_timeout.min(Duration::from_secs(1)));
    let connect_timeout = config
        .connect_timeout
        .unwrap_or((command_timeout / 2).min(Duration::from_secs(2)));
    let acquire_timeout = config
        .acquire_timeout
        .unwrap_or(command_timeout.min(Duration::from_secs(1)));

    check_timeouts(config, report);
    check_sockets(config, report);
    check_pool(config, report);
    check_limits(config, report);
    let login = resolve_login(config, report);
    let client_name = resolve_client_name(name, config, report);
    let (location, username, password) = login?;

    Some(DatabaseSettings {
        name: name.into(),
        address: location.address,
        number: config.number.or(location.number).unwrap_or(0),
        username: username.map(Username),
        password,
        client_name,
        command_timeout,
        attempt_timeout,
        connect_timeout,
        acquire_timeout,
        max_connections: config.max_connections,
        shared_min: config.shared_min,
        shared_max: config.shared_max,
        min_idle: config.min_idle,
        idle_timeout: config.idle_timeout,
        max_lifetime: config.max_lifetime,
        leak_warning: config.leak_warning,
        sweep_interval: config.sweep_interval.unwrap_or(sweep_interval),
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

fn check_pool(config: &DatabaseConfig, report: &mut Report<'_>) {
    const MIN: &str = "shared_connections.min";
    const MAX: &str = "shared_connections.max";
    const IDLE: &str = "min_idle";
    let (min, max) = (config.shared_min, config.shared_max);
    let (idle, most) = (config.min_idle, config.max_connections);

    let most_fits = report.count("max_connections", most as u64, &limits::CONNECTIONS);
    let min_fits = report.count(MIN, min as u64, &limits::SHARED_CONNECTIONS);
    let max_fits = report.count(MAX, max as u64, &limits::SHARED_CONNECTIONS);
    let idle_fits = report.count(IDLE, idle as u64, &limits::IDLE_CONNECTIONS);
    // A number outside its range is one problem, not one more with each of its neighbours.
    for (field, count, limit, bound, both_fit) in [
        (MIN, min, "the maximum", max, min_fits && max_fits),
        (MAX, max, "max_connections", most, max_fits && most_fits),
        (IDLE, idle, "max_connections", most, idle_fits && most_fits),
    ] {
        if both_fit && count > bound {
            report.add(
                field,
                format!("{count} is above {limit}, {bound}; lower it or raise {limit}"),
            );
        }
    }

    let range = &limits::DURATION;
    report.duration("idle_timeout", config.idle_timeout, range);
    for (field, time, range) in [
        ("acquire_timeout", config.acquire_timeout, range),
        ("max_lifetime", config.max_lifetime, &limits::LIFETIME),
        ("leak_warning", config.leak_warning, range),
        ("sweep_interval", config.sweep_interval, range),
    ] {
        if let Some(time) = time {
            report.duration(field, time, range);
        }
    }
}

fn check_limits(config: &DatabaseConfig, report: &mut Report<'_>) {
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
#[path = "resolve_tests.rs"]
mod tests;
