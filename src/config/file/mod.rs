//! Configuration from a YAML file.
//!
//! - this file: [`Config::from_yaml_file`], [`Config::from_yaml_str`] and [`Config::load`]
//! - `search`: where the file is · `yaml`: its text to a tree · `node`: the tree · `interpolation`: variables in values
//! - `keys`: the keys · `reader`: the tree to a [`Config`] · `special`: keys that are more than a setting · `secrets`:
//!   passwords in files

mod interpolation;
pub(super) mod keys;
pub(super) mod node;
pub(super) mod reader;
mod search;
mod secrets;
mod special;
mod yaml;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use self::reader::Context;
use super::{
    Config, ConfigError, Problem,
    environment::Environment,
    source::{self, ALLOW_READABLE_SECRETS, CONFIG_FILE},
};

impl Config {
    /// The databases of a YAML file.
    ///
    /// ```yaml
    /// host: redis.internal              # for all databases below
    /// password: ${REDIS_PASSWORD}       # from the environment
    /// databases:
    ///   main: {db: 0}
    ///   sessions: {db: 6, max_connections: 20, command_timeout: 500 ms}
    ///   reports: redis://reports.internal/0
    /// ```
    ///
    /// Every setting of [`DatabaseConfig`](crate::DatabaseConfig) has a key of its name; the page
    /// `docs/configuration.md` lists them, with the names of other dialects that are accepted as well. A key above the
    /// databases holds for all of them, and one of a database is stronger. Durations are in seconds, or have a unit:
    /// `0.5`, `500 ms`, `2 min`, `1 h`. Numbers of bytes may have `KiB`, `MiB` or `GiB`. A file without a map of
    /// databases describes one, named `main`.
    ///
    /// In a value `${VAR}` stands for an environment variable, and `${VAR:-default}` has a default for one that is unset
    /// or empty. No other variable is read: [`load`](Self::load) does that.
    ///
    /// # Errors
    ///
    /// All problems of the file, each with its line and column. A key that is not known is one, and so is a file with a
    /// password that all users of the machine may read, unless it has `allow_readable_secrets: true`. Limits that do not
    /// fit each other are found by [`check`](Self::check), and when the supervisor starts.
    pub fn from_yaml_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let environment = Environment::of_process();
        finish(noted(read_file(path.as_ref(), &environment)))
    }

    /// The databases of a YAML text, as [`from_yaml_file`](Self::from_yaml_file) reads them.
    ///
    /// ```
    /// let config = redis_steward::Config::from_yaml_str("databases: {main: {db: 0}, cache: {db: 5}}")?;
    /// config.check()?;
    /// # Ok::<(), redis_steward::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As there.
    pub fn from_yaml_str(text: &str) -> Result<Self, ConfigError> {
        let environment = Environment::of_process();
        finish(noted(read_text(text, None, &environment)))
    }

    /// All sources together: a YAML file, if there is one, and the environment, which is stronger.
    ///
    /// The file is the first of these:
    /// 1. that of the variable `REDIS_STEWARD_CONFIG`, which has to be there;
    /// 2. `/app/config/redis-databases.yaml`, in a container;
    /// 3. `config/redis-databases.yaml` in the working directory.
    ///
    /// [`from_yaml_file`](Self::from_yaml_file) describes the file, and [`from_env`](Self::from_env) the variables. Without
    /// a file this is the same as `from_env`. [`explain`](Self::explain) shows where each value came from.
    ///
    /// # Errors
    ///
    /// All problems of both. A file that cannot be used is an error: defaults do not stand in for it.
    ///
    /// ```
    /// use redis_steward::Config;
    ///
    /// let config = Config::load()?;
    /// println!("{}", config.explain());
    /// # Ok::<(), redis_steward::ConfigError>(())
    /// ```
    pub fn load() -> Result<Self, ConfigError> {
        let environment = Environment::of_process();
        let file = search::find(&environment, Path::new("/"), Path::new(""));
        finish(read_all(file.as_deref(), &environment))
    }

    /// As [`load`](Self::load), with this file.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn load_from(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let environment = Environment::of_process();
        finish(read_all(Some(path.as_ref()), &environment))
    }

    /// As [`load_from`](Self::load_from), with the files that were read, also if they cannot be used.
    pub(crate) fn load_with_files(path: &Path) -> (Result<Self, ConfigError>, Vec<PathBuf>) {
        let (config, problems) = read_all(Some(path), &Environment::of_process());
        let mut files = config.files.clone();
        if files.is_empty() {
            files.push(path.to_path_buf());
        }
        (finish((config, problems)), files)
    }
}

fn read_all(file: Option<&Path>, environment: &Environment) -> (Config, Vec<Problem>) {
    let (mut config, mut problems) = match file {
        Some(file) => read_file(file, environment),
        None => (Config::new(), Vec::new()),
    };
    // Of a file that is no YAML not even the names of its databases are known.
    if file.is_none() || config.is_from_file {
        problems.extend(source::read(&mut config, environment));
    }
    noted((config, problems))
}

/// With notes of databases that share a number.
fn noted((mut config, problems): (Config, Vec<Problem>)) -> (Config, Vec<Problem>) {
    if problems.is_empty() && config.is_from_file {
        config.note_shared_numbers();
    }
    (config, problems)
}

fn finish((config, problems): (Config, Vec<Problem>)) -> Result<Config, ConfigError> {
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError::new(problems))
    }
}

fn read_file(path: &Path, environment: &Environment) -> (Config, Vec<Problem>) {
    match fs::read_to_string(path) {
        Ok(text) => read_text(&text, Some(path), environment),
        Err(error) => {
            let named = environment.is_path(CONFIG_FILE, path);
            let place = if named {
                format!(", named by {CONFIG_FILE},")
            } else {
                String::new()
            };
            let message = format!("{}{place} cannot be read: {error}", path.display());
            (Config::new(), vec![Problem::new(None, "file", message)])
        }
    }
}

fn read_text(text: &str, file: Option<&Path>, environment: &Environment) -> (Config, Vec<Problem>) {
    let name: Arc<str> = match file {
        Some(path) => path.display().to_string().into(),
        None => "(text)".into(),
    };
    let mut problems = Vec::new();
    // Some editors put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(root) = yaml::parse(text, &name, &mut problems) else {
        if problems.is_empty() {
            let message =
                "is empty; write for instance databases: {main: {url: redis://localhost/0}}";
            problems.push(Problem::new(None, "file", format!("{name} {message}")));
        }
        return (Config::new(), problems);
    };
    let allows = environment.is_switched_on(ALLOW_READABLE_SECRETS);
    if let Err(message) = &allows {
        problems.push(Problem::new(None, ALLOW_READABLE_SECRETS, message));
    }
    let context = Context {
        environment,
        has_variables: true,
        file,
        allows_readable_secrets: allows.unwrap_or_default(),
    };
    let (config, found) = reader::read(root, &context);
    problems.extend(found);
    (config, problems)
}

#[cfg(test)]
mod tests;
