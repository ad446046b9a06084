//! From files and URLs to a configuration.

use std::collections::BTreeMap;

use redis_steward::{Config, ConfigError, ConfigNote};
use serde_json::{Value, json};

use crate::arguments::File;

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
