//! Configuration from the environment.

use std::collections::HashSet;

use super::{
    Config, ConfigError, Problem, environment::Environment, field::Field, fields, layer::Origin,
    note::ConfigNote, setting::Setting, url::SecretUrl,
};
use crate::nearest::nearest;

impl Config {
    /// Databases from environment variables. Without any, it is one named `main`, on this machine.
    ///
    /// Variables for all databases:
    ///
    /// | variable | default | |
    /// |---|---|---|
    /// | `REDIS_URL` | | replaces `REDIS_HOST` and `REDIS_PORT`; its number is that of `main` alone |
    /// | `REDIS_HOST` | `localhost` | host name or IP address |
    /// | `REDIS_PORT` | `6379` | |
    /// | `REDIS_USERNAME` | | where the URL has none |
    /// | `REDIS_PASSWORD` | | where the URL has none |
    /// | `REDIS_PASSWORD_FILE` | | a file with the password; see [`password_file`](crate::DatabaseConfig::password_file) |
    /// | `REDIS_SENTINEL_USERNAME` | | for the sentinels of a URL with some |
    /// | `REDIS_SENTINEL_PASSWORD` | | for the sentinels of a URL with some |
    /// | `REDIS_PROTOCOL` | `2` | `2`, `3`, `resp2` or `resp3`, where the URL has none |
    /// | `REDIS_MAX_CONNECTIONS` | `50` | |
    /// | `REDIS_SOCKET_TIMEOUT` | `5` | seconds, decimals allowed: the command timeout |
    /// | `REDIS_HEALTH_CHECK_INTERVAL` | `30` | seconds |
    /// | `REDIS_FAILURE_THRESHOLD` | `5` | consecutive failures |
    /// | `REDIS_RECOVERY_TIMEOUT` | `1` | seconds |
    /// | `REDIS_STEWARD_<SETTING>` | | any setting, as in `REDIS_STEWARD_IDLE_TIMEOUT=60` or `REDIS_STEWARD_KEEPALIVE_IDLE=5` |
    ///
    /// Variables of one database, which override those:
    ///
    /// | variable | default | |
    /// |---|---|---|
    /// | `REDIS_DB` | `0` | the number of `main`, where the URL has none |
    /// | `REDIS_DB_<NAME>` | | the number of the database of this name |
    /// | `REDIS_<NAME>_URL` | | its URL |
    /// | `REDIS_STEWARD_<NAME>_<SETTING>` | | any setting of it, as in `REDIS_STEWARD_CACHE_MAX_CONNECTIONS=7` |
    ///
    /// A name stands in capitals, with `_` for everything but letters and digits. A number or a URL of a name that
    /// is not known yet defines the database: `REDIS_DB_CACHE=5` makes `cache`. There is no `main` then, unless a
    /// variable says where it is. `REDIS_TLS_URL`, `REDIS_<NAME>_TLS_URL`, variables with an HTTP URL, and
    /// `REDIS_DB_PASSWORD` and its like belong to others, and are left alone. So are those that Kubernetes sets for
    /// services; of these, `REDIS_PORT` is an error if nothing else says where the server is.
    ///
    /// An empty variable counts as unset. Other settings have their defaults. What comes from here can be
    /// [adjusted](Self::adjust) in code afterwards.
    ///
    /// # Errors
    /// All variables that cannot be used, together. The values of URLs and passwords are never shown.
    ///
    /// ```
    /// use redis_steward::Config;
    ///
    /// let config = Config::from_env()?;
    /// # Ok::<(), redis_steward::ConfigError>(())
    /// ```
    pub fn from_env() -> Result<Self, ConfigError> {
        from(&Environment::of_process())
    }
}

impl Config {
    /// Takes what the environment says of the databases, as [`from_env`](Self::from_env) reads it, over what is there.
    /// What setters have set stays.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let config = redis_steward::Config::preset().override_from_env()?;
    /// # Ok::<(), redis_steward::ConfigError>(())
    /// ```
    pub fn override_from_env(mut self) -> Result<Self, ConfigError> {
        let problems = read(&mut self, &Environment::of_process());
        if problems.is_empty() {
            Ok(self)
        } else {
            Err(ConfigError::new(problems))
        }
    }
}

fn from(environment: &Environment) -> Result<Config, ConfigError> {
    let mut config = Config::new();
    let problems = read(&mut config, environment);
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError::new(problems))
    }
}

/// The database that the variables without a name are about.
const MAIN: &str = "main";

/// Takes what the variables say of the databases of `config`, and adds those that they define. Without any
/// database there is [`MAIN`]. The result is everything that cannot be used.
pub(super) fn read(config: &mut Config, environment: &Environment) -> Vec<Problem> {
    let mut reading = Reading {
        config,
        environment,
        problems: Vec::new(),
    };
    let specific = reading.specific_variables();
    reading.define(&specific);
    for (variable, field) in reading.general_variables() {
        reading.take_for_all(&variable, field);
    }
    for variable in specific {
        reading.take_for_one(&variable);
    }
    reading.problems
}

/// The beginning of the variables that are this crate's own.
const OWN: &str = "REDIS_STEWARD_";

/// A file with the password, as images of databases take it.
const PASSWORD_FILE: &str = "REDIS_PASSWORD_FILE";

/// Variables of this crate that are no settings of databases.
pub(super) const CONFIG_FILE: &str = "REDIS_STEWARD_CONFIG";
pub(super) const ALLOW_READABLE_SECRETS: &str = "REDIS_STEWARD_ALLOW_READABLE_SECRETS";

/// A variable that is about one database.
struct Specific {
    variable: String,
    /// The name of the database, as variables spell it.
    name: String,
    field: &'static Field,
}

struct Reading<'a> {
    config: &'a mut Config,
    environment: &'a Environment,
    problems: Vec<Problem>,
}

impl Reading<'_> {
    /// The variables that hold for all databases, with their settings. Of two for one setting, the later wins: that
    /// of this crate. A URL comes last of all, since it replaces parts.
    fn general_variables(&mut self) -> Vec<(String, &'static Field)> {
        self.note_port_of_kubernetes();
        let is_set = |variable: &str| self.environment.get(variable).is_some();
        let is_replaced =
            |name: &str| ["REDIS_HOST", "REDIS_PORT"].contains(&name) && is_set("REDIS_URL");
        let mut found = Vec::new();
        for field in fields::all() {
            let own = format!("{OWN}{}", spelled(field.key));
            let file = (field.key == "credentials").then(|| PASSWORD_FILE.to_owned());
            let names = field.variable.map(str::to_owned).into_iter();
            let names = names.chain(file).chain([own]);
            let is_ours =
                |name: &str| !name.starts_with(OWN) || !is_of_others(self.environment, name);
            let is_left_out = |name: &String| {
                is_replaced(name) || *name == "REDIS_PORT" && self.is_port_left_out()
            };
            let names = names.filter(|name| is_set(name) && is_ours(name) && !is_left_out(name));
            found.extend(names.map(|name| (name, field)));
        }
        found.sort_by_key(|(_, field)| field.key == "url");
        found
    }

    /// Whether `REDIS_PORT` is the address that Kubernetes sets for a service named redis, and something else says where
    /// the server is.
    fn is_port_left_out(&self) -> bool {
        let port = self.environment.get("REDIS_PORT").and_then(Result::ok);
        let is_address = port.is_some_and(|port| port.starts_with("tcp://"));
        let is_set = |variable: &str| self.environment.get(variable).is_some();
        is_address && (self.config.is_from_file || is_set("REDIS_HOST") || is_set("REDIS_URL"))
    }

    fn note_port_of_kubernetes(&mut self) {
        if self.is_port_left_out() {
            let message =
                "is left out: it is the address that Kubernetes sets for a service named redis";
            let note = ConfigNote::new(None, "REDIS_PORT", message, None);
            self.config.notes.push(note);
        }
    }

    /// The variables that are about one database. Those of this crate's own that are about nothing are problems.
    fn specific_variables(&mut self) -> Vec<Specific> {
        let mut found = Vec::new();
        let defined = self.defined();
        for variable in self.environment.names() {
            if let Some(rest) = variable.strip_prefix(OWN) {
                if is_setting(rest) || is_of_others(self.environment, variable) {
                    continue;
                }
                match self.split(rest, &defined) {
                    Ok((name, field)) => found.push(specific(variable, name, field)),
                    Err(message) => self.problems.push(Problem::new(None, variable, message)),
                }
            } else if let Some((name, key)) = self.of_common_form(variable)
                && !is_of_others(self.environment, variable)
            {
                let field = fields::find(key).expect("BUG: the key is one of the table");
                found.push(specific(variable, name, field));
            }
        }
        // A URL comes last, since it replaces parts.
        found.sort_by_key(|specific| specific.field.key == "url");
        found
    }

    /// The names of databases that are there or are defined by variables, as variables spell them.
    fn defined(&self) -> HashSet<String> {
        let present = self.config.databases.iter();
        let mut names: HashSet<_> = present.map(|(name, _)| spelled(name)).collect();
        for variable in self.environment.names() {
            if is_of_others(self.environment, variable) {
                continue;
            }
            match variable.strip_prefix(OWN) {
                Some(rest) if is_setting(rest) => {}
                Some(rest) => {
                    let defining = candidates(rest).find(|(_, field)| defines(field));
                    names.extend(defining.map(|(name, _)| name));
                }
                None => names.extend(self.of_common_form(variable).map(|(name, _)| name)),
            }
        }
        names
    }

    /// The database and the setting of a variable of this crate, without its beginning.
    fn split(
        &self,
        rest: &str,
        defined: &HashSet<String>,
    ) -> Result<(String, &'static Field), String> {
        // The longest setting, so the shortest name: IDLE_TIMEOUT before a database named …_IDLE.
        let by_length = |(name, _): &(String, &Field)| std::cmp::Reverse(name.len());
        if let Some(found) = candidates(rest)
            .filter(|(name, _)| defined.contains(name))
            .max_by_key(by_length)
        {
            return Ok(found);
        }
        let Some((name, field)) = candidates(rest).max_by_key(by_length) else {
            let settings = fields::all()
                .map(|field| spelled(field.key))
                .collect::<Vec<_>>();
            let hint = nearest(rest, settings.iter().map(String::as_str));
            let hint = hint.map_or(String::new(), |near| format!("; did you mean {OWN}{near}?"));
            return Err(format!("is no setting of this crate{hint}"));
        };
        if defines(field) {
            return Ok((name, field));
        }
        let names = self.config.databases.iter().map(|(name, _)| name.as_str());
        let name = name.to_lowercase();
        let hint =
            nearest(&name, names).map_or(String::new(), |near| format!("; did you mean {near}?"));
        Err(format!(
            "is about the database {name}, which is not configured{hint}"
        ))
    }

    /// Adds the databases that variables define.
    fn define(&mut self, specific: &[Specific]) {
        for Specific { name, field, .. } in specific {
            if defines(field) && self.named(name).is_empty() {
                self.add(name.to_lowercase());
            }
        }
        let says_where = ["REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_DB"];
        let is_set = |variable: &&str| self.environment.get(variable).is_some();
        if self.config.databases.is_empty()
            || !self.config.is_from_file
                && says_where.iter().any(is_set)
                && self.named(&spelled(MAIN)).is_empty()
        {
            self.add(MAIN.into());
        }
    }

    fn add(&mut self, name: String) {
        self.config
            .databases
            .push((name, self.config.common.clone()));
    }

    /// The positions of the databases that variables spell like this.
    fn named(&self, name: &str) -> Vec<usize> {
        let databases = self.config.databases.iter().enumerate();
        let spelled = databases.filter(|(_, (known, _))| spelled(known) == name);
        spelled.map(|(at, _)| at).collect()
    }

    /// The database and the setting of a variable of a common form, unless others call theirs so.
    fn of_common_form(&self, variable: &str) -> Option<(String, &'static str)> {
        let (name, key) = of_common_form(variable)?;
        let is_of_others = key == "number" && NO_NAMES.contains(&name.as_str());
        (!is_of_others || !self.named(&name).is_empty()).then_some((name, key))
    }

    fn take_for_all(&mut self, variable: &str, field: &Field) {
        let Some(text) = self.value(variable, field) else {
            return;
        };
        let origin = Origin::VariableForAll(variable.into());
        let result = match field.key {
            "url" => SecretUrl::read(&text).map(|url| self.take_url(&url, &origin)),
            // All of them in one place would be mixed up.
            "number" => {
                let mut databases = self.config.databases.iter_mut();
                let main = databases.find(|(name, _)| name == MAIN);
                main.map_or(Ok(()), |(_, main)| main.set(field.key, &text, &origin))
            }
            _ => {
                let databases = self.config.databases.iter_mut();
                let mut all = databases.map(|(_, database)| database);
                let common = self.config.common.set(field.key, &text, &origin);
                common.and_then(|()| all.try_for_each(|one| one.set(field.key, &text, &origin)))
            }
        };
        self.check(variable, field, result);
    }

    /// The number is that of one database, and the server that of all.
    fn take_url(&mut self, url: &SecretUrl, origin: &Origin) {
        let elsewhere = url.clone().without_number();
        self.config.common.offer_url(elsewhere.clone(), origin);
        for (name, database) in &mut self.config.databases {
            let url = if name == MAIN { url } else { &elsewhere };
            database.offer_url(url.clone(), origin);
        }
    }

    fn take_for_one(
        &mut self,
        Specific {
            variable,
            name,
            field,
        }: &Specific,
    ) {
        let Some(text) = self.value(variable, field) else {
            return;
        };
        let origin = Origin::Variable(variable.as_str().into());
        let result = match self.named(name)[..] {
            [at] => self.config.databases[at].1.set(field.key, &text, &origin),
            _ => Err(
                "names two databases, whose names differ by punctuation only; rename one".into(),
            ),
        };
        self.check(variable, field, result);
    }

    fn check(&mut self, variable: &str, field: &Field, result: Result<(), String>) {
        if let Err(message) = result {
            let message = with_example(message, variable, field);
            self.problems.push(Problem::new(None, variable, message));
        }
    }

    /// The value of a variable. Spaces and line ends around it, which files of variables often leave there, are
    /// removed, but not from what can be a password.
    fn value(&mut self, variable: &str, field: &Field) -> Option<String> {
        match self.environment.get(variable)? {
            Ok(text) if ["password", "sentinel_password"].contains(&field.key) => Some(text),
            Ok(text) => {
                let text = Some(text.trim()).filter(|text| !text.is_empty())?;
                Some(match variable {
                    PASSWORD_FILE => format!("file:{text}"),
                    _ => text.to_owned(),
                })
            }
            Err(message) => {
                self.problems.push(Problem::new(None, variable, message));
                None
            }
        }
    }
}

fn specific(variable: &str, name: String, field: &'static Field) -> Specific {
    Specific {
        variable: variable.to_owned(),
        name,
        field,
    }
}

/// A message with the way to write the variable.
fn with_example(message: String, variable: &str, field: &Field) -> String {
    // URLs have examples of their own.
    if field.key == "url" {
        return message;
    }
    format!("{message}, as in {variable}={}", field.example)
}

/// Whether a variable can define a database, and not only adjust one.
fn defines(field: &Field) -> bool {
    ["url", "number"].contains(&field.key)
}

/// A name of a database or a setting, as variables spell it.
pub(super) fn spelled(name: &str) -> String {
    let sign = |c: char| {
        if c.is_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    name.chars().map(sign).collect()
}

/// Whether the rest of a variable of this crate is a setting of all databases, or none of databases at all.
fn is_setting(rest: &str) -> bool {
    let others = [CONFIG_FILE, ALLOW_READABLE_SECRETS];
    others
        .iter()
        .any(|other| other.strip_prefix(OWN) == Some(rest))
        || fields::all().any(|field| spelled(field.key) == rest)
}

/// The ways to read the rest of a variable of this crate as a database and a setting.
fn candidates(rest: &str) -> impl Iterator<Item = (String, &'static Field)> {
    fields::all().filter_map(move |field| {
        let name = rest.strip_suffix(spelled(field.key).as_str())?;
        Some((name.strip_suffix('_')?.to_owned(), field))
    })
}

/// What other programs may call with `REDIS_DB_`, and mean no database by.
const NO_NAMES: [&str; 9] = [
    "HOST", "INDEX", "NAME", "PASS", "PASSWORD", "PORT", "URL", "USER", "USERNAME",
];

/// The database and the setting of `REDIS_DB_<NAME>` and `REDIS_<NAME>_URL`.
fn of_common_form(variable: &str) -> Option<(String, &'static str)> {
    let rest = variable.strip_prefix("REDIS_")?;
    let of_number = || Some((rest.strip_prefix("DB_")?, "number"));
    let (name, key) = match rest.strip_suffix("_URL") {
        Some(name) => (name, "url"),
        None => of_number()?,
    };
    (!name.is_empty()).then(|| (name.to_owned(), key))
}

/// Whether a variable of one of our forms is set by or for others: Kubernetes' variables of a service
/// (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>), the TLS URLs that
/// platforms set beside others, and the addresses of web pages.
fn is_of_others(environment: &Environment, variable: &str) -> bool {
    let is_own = variable.starts_with(OWN);
    let is_of_service = variable.contains("_SERVICE_HOST")
        || variable.contains("_SERVICE_PORT")
        || variable.contains("_PORT_");
    let value = environment
        .get(variable)
        .and_then(Result::ok)
        .unwrap_or_default();
    let begins = |schemes: &[&str]| schemes.iter().any(|scheme| value.starts_with(scheme));
    is_of_service
        || variable.ends_with("_TLS_URL") && !is_own
        || begins(&["tcp://", "udp://"])
        || begins(&["http://", "https://"]) && !is_own
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
