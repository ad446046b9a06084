//! `Config` → `Settings`: every check, and the defaults that depend on other settings.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};

use super::{
    Address, AddressMap, Config, ConfigError, DatabaseConfig, Io, Problem, Settings,
    address::Host,
    alias::{self, Alias},
    excerpt::quoted,
    fields::Login,
    layer::{Layered, Origin},
    note::ConfigNote,
    protocol::Protocol,
    quantity::{self, NAME_BYTES},
    report::Report,
    tls,
    url_options::Without,
    username::Username,
};
use crate::{
    credentials::CredentialsSource,
    nearest::hint,
    tls::{Tls, TlsClient, Unusable},
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
    let mut notes = config.notes.clone();
    let mut databases = Vec::with_capacity(config.databases.len());
    for (name, database) in &config.databases {
        report.enter(name, database);
        check_name(name, &mut report);
        if !names.insert(name) {
            report.add(
                "name",
                "is given to more than one database; every database needs its own",
            );
        }
        database.check_limits(&mut report);
        let login = login(name, database, &mut report);
        if let Some(mut login) = login {
            let is_cluster = login.address.is_cluster();
            if is_cluster && database.fallback.get().is_some() {
                let message =
                    "cannot stand in for a cluster, of which a part may be up; leave it out";
                report.add("fallback", message);
            }
            notes.extend(note_of_tls(name, database, &login));
            if config.registry.is_some() && !database.says_where() {
                login.address = Address::Service(name.as_str().into());
            }
            databases.push(Arc::new(database.seal(name, login, &config)));
        }
    }
    let numbers = databases
        .iter()
        .map(|database| (&*database.name, database.number));
    let numbers: HashMap<&str, i64> = numbers.collect();
    report.leave();
    if report.is_clean() {
        // A database that cannot be used is no reason to call its aliases wrong.
        alias::check(&config.aliases, &numbers, &mut report);
        check_default(&config, &numbers, &mut report);
    }
    report.finish()?;
    let alias = |alias: &Alias| (alias.name.as_str().into(), alias.target.as_str().into());
    Ok(Settings {
        aliases: config.aliases.iter().map(alias).collect(),
        default_database: config.default_database.as_deref().map(Into::into),
        registry: config.registry.clone(),
        notes,
        databases,
        io: config.io,
    })
}

fn check_default(config: &Config, numbers: &HashMap<&str, i64>, report: &mut Report<'_>) {
    let Some(name) = config.default_database.as_deref() else {
        return;
    };
    let is_alias = config.aliases.iter().any(|alias| alias.name == name);
    if !numbers.contains_key(name) && !is_alias {
        let hint = hint(name, numbers.keys().copied());
        report.add(
            "default_database",
            format!("{} is no database{hint}", quoted(name)),
        );
    }
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
    check_texts(config, report);
    let client_name = client_name(name, config, report);
    let cluster_addresses = cluster_addresses(config, report);
    let merged = match Merged::of(config) {
        Ok(merged) => merged,
        Err(messages) => {
            for message in messages {
                report.add("url", message);
            }
            // Whatever the URL would have said, a number that is given is checked.
            if let Some(Err(message)) = config.number.get().map(quantity::number) {
                report.add("number", message);
            }
            return None;
        }
    };
    let has_provider = config.credentials.get().is_some();
    if merged.username.get().is_some() && merged.password.get().is_none() && !has_provider {
        let is_own = merged.username.origin() == config.username.origin();
        report.add(
            if is_own { "username" } else { "url" },
            "has a user name without a password; set one, or leave the user name out",
        );
    }
    let is_named = config.sentinel_username.get().is_some();
    if is_named && config.sentinel_password.get().is_none() {
        report.add(
            "sentinel_username",
            "needs a sentinel_password; set one, or leave the user name out",
        );
    }
    if let Some(Err(message)) = merged.number.get().map(quantity::number) {
        let is_own = merged.number.origin() == config.number.origin();
        report.add(if is_own { "number" } else { "url" }, message);
    }
    let tls = open_tls(&merged, report);
    let credentials = config.credentials.get().clone();
    // A password of a stronger source holds.
    let is_overridden = merged.password.get().is_some()
        && merged.password.origin().rank() > config.credentials.origin().rank();
    let credentials = credentials.filter(|_| !is_overridden);
    if let Some(CredentialsSource::File(path)) = &credentials
        && let Err(error) = CredentialsSource::read_file(path)
    {
        let message = format!("names {}, which cannot be read: {error}", path.display());
        report.add("credentials", message);
    }
    Some(Login {
        tls,
        credentials,
        address: merged.address.into_value(),
        number: merged.number.get().unwrap_or(0),
        username: merged.username.into_value(),
        password: merged.password.into_value(),
        sentinel_username: config.sentinel_username.get().clone(),
        sentinel_password: config.sentinel_password.get().clone(),
        cluster_addresses,
        client_name,
        // Without HELLO there is no way to another one.
        protocol: merged
            .protocol
            .into_value()
            .filter(|_| !merged.without.hello)
            .unwrap_or_default(),
        without_hello: merged.without.hello,
        without_client_name: merged.without.client_name,
        without_select: merged.without.select,
    })
}

/// A warning for a server that is not verified.
fn note_of_tls(name: &str, config: &DatabaseConfig, login: &Login) -> Option<ConfigNote> {
    let tls = login.tls.as_ref()?.settings();
    tls.is_unverified().then(|| {
        let key = "tls.dangerous_accept_invalid_certificates";
        let message = "any certificate of the server is accepted, so that anybody on the way can read and change \
                       everything";
        let at = config.tls.origin().position().cloned();
        ConfigNote::new(Some(name), key, message, at)
    })
}

/// TLS for the address. What is not TCP does not leave this machine.
fn open_tls(merged: &Merged, report: &mut Report<'_>) -> Option<TlsClient> {
    let tls = match &merged.tls {
        Ok(tls) => tls.get().as_ref()?,
        Err(message) => {
            report.add("tls", message);
            return None;
        }
    };
    if merged.address.get().is_local() {
        return None;
    }
    match TlsClient::open(tls) {
        Ok(client) => Some(client),
        Err(Unusable { part, message }) => {
            let key = part.map_or("tls".into(), |part| format!("tls.{part}"));
            report.add(&key, message);
            None
        }
    }
}

impl DatabaseConfig {
    /// Whether any source gives its server.
    pub(super) fn says_where(&self) -> bool {
        let origins = [self.url.origin(), self.host.origin()];
        origins.into_iter().any(|origin| *origin != Origin::Default)
    }
}

/// Checks the texts that are given, wherever the rest comes from.
fn check_texts(config: &DatabaseConfig, report: &mut Report<'_>) {
    for (key, username) in [
        ("username", &config.username),
        ("sentinel_username", &config.sentinel_username),
    ] {
        if username
            .get()
            .as_ref()
            .is_some_and(|name| name.0.is_empty())
        {
            let message = "is empty; leave it out to log in as the server's default user";
            report.add(key, message);
        }
    }
    for (key, password) in [
        ("password", &config.password),
        ("sentinel_password", &config.sentinel_password),
    ] {
        let is_empty = |password: &SecretString| password.expose_secret().is_empty();
        if password.get().as_ref().is_some_and(is_empty) {
            report.add(key, "is empty; leave it out to connect without one");
        }
    }
    if let Some(Err(message)) = config.host.get().as_ref().map(Host::check) {
        report.add("host", message);
    }
    if *config.port.get() == Some(0) {
        report.add("port", "0 is no port; use 1 to 65535");
    }
}

/// The parts of a URL and the settings for them, with the stronger of each.
pub(super) struct Merged {
    pub(super) address: Layered<Address>,
    pub(super) number: Layered<Option<i64>>,
    pub(super) username: Layered<Option<Username>>,
    pub(super) password: Layered<Option<SecretString>>,
    pub(super) protocol: Layered<Option<Protocol>>,
    /// An error for settings that contradict the URL.
    pub(super) tls: Result<Layered<Option<Tls>>, String>,
    pub(super) without: Without,
}

impl Merged {
    /// # Errors
    /// The URL cannot be read, for these reasons.
    pub(super) fn of(config: &DatabaseConfig) -> Result<Self, Vec<String>> {
        let location = config.url.get().parse()?;
        let given = config.url.origin();
        let origin = given.of_url_parts();
        let mut merged = Self {
            address: address(location.address, config),
            number: config.number.clone(),
            username: config.username.clone(),
            password: config.password.clone(),
            protocol: config.protocol.clone(),
            tls: tls::merged(&config.tls, location.tls, &origin),
            without: config.omissions(),
        };
        // The number of the default URL is the default number.
        if *given != Origin::Default {
            fill(&mut merged.number, location.number, &origin);
        }
        fill(&mut merged.username, location.username, &origin);
        fill(&mut merged.password, location.password, &origin);
        fill(&mut merged.protocol, location.protocol, &origin);
        merged.without.hello |= location.without.hello;
        merged.without.client_name |= location.without.client_name;
        merged.without.select |= location.without.select;
        Ok(merged)
    }
}

/// Offers a part of a URL, if the URL has it.
fn fill<T>(setting: &mut Layered<Option<T>>, part: Option<T>, origin: &Origin) {
    if part.is_some() {
        setting.offer(part, origin.clone());
    }
}

/// The address of a URL with the host and the port of stronger sources.
fn address(of_url: Address, config: &DatabaseConfig) -> Layered<Address> {
    let url = config.url.origin();
    let overrides = |origin: &Origin| origin.rank() > url.of_url_parts().rank();
    let host = config.host.get().as_ref();
    let host = host.filter(|_| overrides(config.host.origin()));
    let port = config
        .port
        .get()
        .filter(|_| overrides(config.port.origin()));
    match (of_url, host, port) {
        (Address::Tcp { port: of_url, .. }, Some(host), port) => Layered::given(
            host.address(port.unwrap_or(of_url)),
            config.host.origin().clone(),
        ),
        // Only a TCP address has a port that could stay.
        (_, Some(host), port) => Layered::given(
            host.address(port.unwrap_or(Address::DEFAULT_PORT)),
            config.host.origin().clone(),
        ),
        (Address::Tcp { host, .. }, None, Some(port)) => {
            Layered::given(Address::Tcp { host, port }, config.port.origin().clone())
        }
        (of_url, None, _) => Layered::given(of_url, url.clone()),
    }
}

fn cluster_addresses(config: &DatabaseConfig, report: &mut Report<'_>) -> AddressMap {
    let text = config.cluster_addresses.get().as_deref();
    AddressMap::parse(text.unwrap_or_default()).unwrap_or_else(|message| {
        report.add("cluster_addresses", message);
        AddressMap::default()
    })
}

fn is_visible(c: char) -> bool {
    ('!'..='~').contains(&c)
}

/// The client name of a database that has none of its own.
pub(super) fn default_client_name(name: &str) -> String {
    let name = name.replace(|c| !is_visible(c), "_");
    format!("redis-steward:{name}")
}

fn client_name(name: &str, config: &DatabaseConfig, report: &mut Report<'_>) -> String {
    let Some(client_name) = config.client_name.get() else {
        return default_client_name(name);
    };
    if client_name.is_empty()
        || client_name.len() > NAME_BYTES
        || !client_name.chars().all(is_visible)
    {
        report.add(
            "client_name",
            format!("is not made of 1 to {NAME_BYTES} visible ASCII characters, as in worker-1"),
        );
    }
    client_name.clone()
}

impl Config {
    /// Notes databases that share the number of a server, which may be a slip. Databases with the same URL in code are
    /// meant so.
    pub(super) fn note_shared_numbers(&mut self) {
        let mut first: HashMap<(Address, i64), &str> = HashMap::new();
        let mut notes = Vec::new();
        for (name, database) in &self.databases {
            let Ok(merged) = Merged::of(database) else {
                continue;
            };
            let number = merged.number.get().unwrap_or(0);
            match first.entry((merged.address.into_value(), number)) {
                Entry::Vacant(vacant) => {
                    vacant.insert(name);
                }
                Entry::Occupied(occupied) => {
                    let other = quoted(occupied.get());
                    let message = format!(
                        "{number} is that of {other} as well, on the same server; each has connections of its own. \
                         If they are the same, write alias_of: {}",
                        occupied.get()
                    );
                    let at = database.number.origin().position().cloned();
                    notes.push(ConfigNote::new(Some(name), "number", message, at));
                }
            }
        }
        self.notes.append(&mut notes);
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
