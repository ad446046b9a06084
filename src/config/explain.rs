//! Where each value came from, as a table.

use std::fmt;

use super::{
    Config, DatabaseConfig,
    alias::Alias,
    layer::{Layered, Origin, Origins},
    note::ConfigNote,
    resolve::{Merged, default_client_name},
    setting::Setting,
};

impl Config {
    /// The settings of all databases as they take effect, each with the place that it comes from: the line of a file, a
    /// variable, a URL, code, or a default. Secrets are masked.
    ///
    /// A configuration with problems can be explained as well. [`check`](Self::check) names the problems.
    ///
    /// ```
    /// use redis_steward::{Config, DatabaseConfig};
    ///
    /// let config = Config::new().database("main", DatabaseConfig::new().number(3));
    /// let explanation = config.explain();
    /// let number = explanation.settings().iter().find(|setting| setting.setting() == "number");
    /// let number = number.expect("every database has one");
    /// assert_eq!((number.value(), number.origin()), ("3", "code"));
    /// println!("{explanation}");
    /// ```
    pub fn explain(&self) -> Explanation {
        let databases = self.databases.iter();
        let mut settings: Vec<_> = databases
            .flat_map(|(name, database)| of_database(name, database, self))
            .collect();
        settings.extend(self.aliases.iter().map(of_alias));
        Explanation {
            settings,
            notes: self.notes.clone(),
        }
    }
}

/// The settings of a configuration with their origins; see [`Config::explain`].
///
/// `Display` is a table with a line for each, followed by the [notes](Config::notes).
#[derive(Clone, Debug)]
pub struct Explanation {
    settings: Vec<ExplainedSetting>,
    notes: Vec<ConfigNote>,
}

impl Explanation {
    /// All settings, database by database.
    pub fn settings(&self) -> &[ExplainedSetting] {
        &self.settings
    }
}

/// A setting of a database, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedSetting {
    database: String,
    setting: &'static str,
    value: String,
    origin: String,
}

impl ExplainedSetting {
    /// The name of the database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The name of the setting, as in a file.
    pub fn setting(&self) -> &str {
        self.setting
    }

    /// Its value with its unit; `***` for a secret, and `none` for what is left out or off.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The place: `file:line:column`, the name of a variable, `URL in code`, `code`, or `default`.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

fn of_database(name: &str, config: &DatabaseConfig, all: &Config) -> Vec<ExplainedSetting> {
    let row = |setting: &'static str, value: String, origin: &Origin| ExplainedSetting {
        database: name.to_owned(),
        setting,
        value,
        origin: origin.to_string(),
    };
    fn text<T: Setting>(value: &Layered<Option<T>>, default: &str) -> String {
        value.get().as_ref().map_or(default.into(), T::shown)
    }
    let mut rows = Vec::new();
    match Merged::of(config) {
        Ok(merged) => {
            let address = &merged.address;
            let (shown, origin) = if all.registry.is_some() && !config.says_where() {
                ("(asked at each dial)".into(), &Origin::Registry)
            } else {
                (address.get().to_string(), address.origin())
            };
            rows.push(row("address", shown, origin));
            let of_login = [
                ("number", text(&merged.number, "0"), merged.number.origin()),
                (
                    "username",
                    text(&merged.username, "none"),
                    merged.username.origin(),
                ),
                (
                    "password",
                    text(&merged.password, "none"),
                    merged.password.origin(),
                ),
                (
                    "protocol",
                    text(&merged.protocol, "resp2"),
                    merged.protocol.origin(),
                ),
                (
                    "credentials",
                    text(&config.credentials, "none"),
                    config.credentials.origin(),
                ),
                match &merged.tls {
                    Ok(tls) => ("tls", text(tls, "none"), tls.origin()),
                    Err(message) => ("tls", message.clone(), config.tls.origin()),
                },
            ];
            rows.extend(of_login.map(|(setting, value, origin)| row(setting, value, origin)));
            let (user, password) = (&config.sentinel_username, &config.sentinel_password);
            // Most databases have no sentinels.
            if user.get().is_some() {
                rows.push(row("sentinel_username", text(user, "none"), user.origin()));
            }
            if password.get().is_some() {
                let shown = text(password, "none");
                rows.push(row("sentinel_password", shown, password.origin()));
            }
        }
        Err(_) => rows.push(row(
            "address",
            config.url.get().shown(),
            config.url.origin(),
        )),
    }
    if let Some(pairs) = config.cluster_addresses.get() {
        let origin = config.cluster_addresses.origin();
        rows.push(row("cluster_addresses", pairs.clone(), origin));
    }
    let client_name = config.client_name.get().clone();
    let client_name = client_name.unwrap_or_else(|| default_client_name(name));
    rows.push(row("client_name", client_name, config.client_name.origin()));
    for (key, value) in config.effective_limits(all) {
        let origin = config.origin(key).unwrap_or(&Origin::Default);
        rows.push(row(key, value, origin));
    }
    rows
}

fn of_alias(alias: &Alias) -> ExplainedSetting {
    let at = alias.at.as_ref();
    ExplainedSetting {
        database: alias.name.clone(),
        setting: "alias_of",
        value: alias.target.clone(),
        origin: at.map_or_else(|| Origin::Setter.to_string(), ToString::to_string),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["database", "setting", "value", "origin"];
        let rows = self.settings.iter();
        let rows = rows.map(|row| [&*row.database, row.setting, &*row.value, &*row.origin]);
        let mut widths = heads.map(str::len);
        for row in rows.clone() {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for (at, [database, setting, value, origin]) in
            std::iter::once(heads).chain(rows).enumerate()
        {
            if at > 0 {
                f.write_str("\n")?;
            }
            let [first, second, third, _] = widths;
            write!(
                f,
                "{database:first$}  {setting:second$}  {value:third$}  {origin}"
            )?;
        }
        for note in &self.notes {
            write!(f, "\nnote: {note}")?;
        }
        Ok(())
    }
}
