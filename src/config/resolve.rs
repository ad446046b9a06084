//! `Config` → `Settings`: every check, and the defaults that depend on other settings.

use std::{collections::HashSet, sync::Arc, time::Duration};

use secrecy::ExposeSecret;

use super::{
    Config, ConfigError, DatabaseConfig, Io, Problem, Settings,
    fields::Login,
    layer::{Layered, Origin},
    quantity::{self, NAME_BYTES},
    report::Report,
};

/// Seals a configuration, or reports all its problems.
pub(crate) fn resolve(config: Config) -> Result<Settings, ConfigError> {
    let mut report = Report::default();
    if config.databases.is_empty() {
        report.add(
            "databases",
            "none is configured; add at least one with Config::database",
        );
    }
    let interval = config.sweep_interval;
    report.range("sweep_interval", interval, &range!(1 ms..=1 year));

    let mut names = HashSet::new();
    let mut databases = Vec::with_capacity(config.databases.len());
    for (name, database) in &config.databases {
        report.enter(name);
        check_name(name, &mut report);
        if !names.insert(name) {
            report.add(
                "name",
                "is given to more than one database; every database needs its own",
            );
        }
        database.check_limits(&mut report);
        let login = login(name, database, &mut report);
        databases.extend(login.map(|login| Arc::new(database.seal(name, login, &config))));
    }
    report.finish()?;
    Ok(Settings {
        databases,
        io: config.io,
    })
}

/// Seals a configuration for a supervisor that runs with this choice of a runtime, which cannot be changed.
pub(crate) fn resolve_change(config: Config, present: Io) -> Result<Settings, ConfigError> {
    let is_other = config.io != present;
    let resolved = resolve(config);
    if !is_other {
        return resolved;
    }
    let message = format!(
        "cannot be changed while the supervisor runs, with {present:?}; spawn another one, or leave it as it is"
    );
    let mut problems = match resolved {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().to_vec(),
    };
    problems.insert(0, Problem::new(None, "io", message));
    Err(ConfigError::new(problems))
}

fn check_name(name: &str, report: &mut Report<'_>) {
    if name.is_empty() {
        report.add("name", "is empty");
    }
    if name.len() > NAME_BYTES {
        let bytes = name.len();
        report.add(
            "name",
            format!("has {bytes} bytes; use at most {NAME_BYTES}"),
        );
    }
    if name.contains(|c: char| c.is_control() || c.is_whitespace()) {
        report.add("name", "holds whitespace or a control character");
    }
}

/// The endpoint and the login: those of the URL, and the settings that override its parts. `None` if
/// the URL cannot be read, which the report explains.
fn login(name: &str, config: &DatabaseConfig, report: &mut Report<'_>) -> Option<Login> {
    let (mut username, mut password) = (config.username.clone(), config.password.clone());
    if let Some(username) = username.get()
        && username.0.is_empty()
    {
        report.add(
            "username",
            "is empty; leave it out to log in as the server's default user",
        );
    }
    if let Some(password) = password.get()
        && password.expose_secret().is_empty()
    {
        report.add("password", "is empty; leave it out to connect without one");
    }
    let client_name = client_name(name, config, report);

    let mut number = config.number.clone();
    let mut protocol = config.protocol.clone();
    let mut without = config.omissions();
    let origin = config.url.origin().of_url_parts();
    let address = match config.url.get().parse() {
        Ok(location) => {
            fill(&mut number, location.number, origin);
            fill(&mut username, location.username, origin);
            fill(&mut password, location.password, origin);
            fill(&mut protocol, location.protocol, origin);
            without.hello |= location.without.hello;
            without.client_name |= location.without.client_name;
            without.select |= location.without.select;
            if username.get().is_some() && password.get().is_none() {
                report.add(
                    "username",
                    "comes without a password; set one, or leave the user name out",
                );
            }
            Some(location.address)
        }
        Err(messages) => {
            for message in messages {
                report.add("url", message);
            }
            None
        }
    };
    if let Some(Err(message)) = number.get().map(quantity::number) {
        let is_from_url = number.origin() == origin;
        report.add(if is_from_url { "url" } else { "number" }, message);
    }
    Some(Login {
        address: address?,
        number: number.get().unwrap_or(0),
        username: username.into_value(),
        password: password.into_value(),
        client_name,
        // Without HELLO there is no way to another one.
        protocol: protocol
            .into_value()
            .filter(|_| !without.hello)
            .unwrap_or_default(),
        without_hello: without.hello,
        without_client_name: without.client_name,
        without_select: without.select,
    })
}

/// Offers a part of a URL, if the URL has it.
fn fill<T>(setting: &mut Layered<Option<T>>, part: Option<T>, origin: Origin) {
    if part.is_some() {
        setting.offer(part, origin);
    }
}

fn client_name(name: &str, config: &DatabaseConfig, report: &mut Report<'_>) -> String {
    let visible = |c: char| ('!'..='~').contains(&c);
    let Some(client_name) = config.client_name.get() else {
        let name = name.replace(|c| !visible(c), "_");
        return format!("redis-steward:{name}");
    };
    if client_name.is_empty() || client_name.len() > NAME_BYTES || !client_name.chars().all(visible)
    {
        report.add(
            "client_name",
            format!("is not made of 1 to {NAME_BYTES} visible ASCII characters, as in worker-1"),
        );
    }
    client_name.clone()
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
