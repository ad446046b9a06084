//! From files and URLs to a configuration.

use std::{collections::BTreeMap, path::Path};

use redis_steward::{Config, ConfigError, ConfigNote, DatabaseConfig};
use serde_json::{Value, json};

use crate::{arguments::File, failure::Failure};

/// The configuration of a file. All its problems are found, those of limits that do not fit each other included.
pub(crate) fn of_file(file: &File) -> Result<Config, ConfigError> {
    let config = read(file)?;
    config.check()?;
    Ok(config)
}

/// The configuration of a file, which may still have problems of the second kind.
pub(crate) fn read(file: &File) -> Result<Config, ConfigError> {
    if file.env {
        Config::load_from(&file.file)
    } else {
        Config::from_yaml_file(&file.file)
    }
}

/// The configuration of one file, or of one or more URLs.
pub(crate) fn of_several(targets: &[String], env: bool) -> Result<Config, Failure> {
    let is_url = |target: &String| target.contains("://");
    if targets.iter().all(is_url) {
        let config = targets.iter().try_fold(Config::new(), add_url)?;
        config.check()?;
        return Ok(config);
    }
    match targets {
        [one] if one.contains('@') && !Path::new(one).exists() => Err(Failure::Usage(
            "this is no file; a URL begins with redis://".into(),
        )),
        [file] => Ok(of_file(&File {
            file: file.into(),
            env,
        })?),
        // They may be secrets that lack a scheme, and are not repeated.
        _ => Err(Failure::Usage(
            "give one file, or URLs such as redis://localhost".into(),
        )),
    }
}

/// Adds a database that is named by the address and the number in its URL.
fn add_url(config: Config, url: &String) -> Result<Config, ConfigError> {
    let alone = Config::single(url);
    alone.check()?;
    let of_url = |key| setting(&alone, key).remove("main").unwrap_or_default();
    let (address, number) = (of_url("address"), of_url("number"));
    let name = match &*number {
        "" | "0" => address,
        number => format!("{address}/{number}"),
    };
    Ok(config.database(name, DatabaseConfig::from_url(url)))
}

/// With another name for the connections, so that `CLIENT LIST` tells them from those of the application.
pub(crate) fn named_for_tool(config: Config) -> Config {
    config.for_all(|database| database.client_name("redis-steward-cli"))
}

/// A setting of each database, as it is explained: without secrets.
pub(crate) fn setting(config: &Config, setting: &str) -> BTreeMap<String, String> {
    let explanation = config.explain();
    let rows = explanation.settings().iter();
    rows.filter(|row| row.setting() == setting)
        .map(|row| (row.database().to_owned(), row.value().to_owned()))
        .collect()
}

/// The notes of a configuration as JSON.
pub(crate) fn notes(config: &Config) -> Value {
    let note = |note: &ConfigNote| {
        let position = note.position();
        json!({
            "database": note.database(),
            "key": note.key(),
            "message": note.message(),
            "file": position.map(|position| position.file()),
            "line": position.map(|position| position.line()),
            "column": position.map(|position| position.column()),
        })
    };
    config.notes().iter().map(note).collect()
}
