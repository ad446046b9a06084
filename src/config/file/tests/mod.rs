//! Configurations from files, and from files and variables together.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;
use crate::config::{
    FilePosition, Settings, fields,
    layer::{Origin, Origins},
    resolve,
    source::CONFIG_FILE,
};

mod dialects;
mod files;
mod precedence;
mod wrong;

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment = Environment::from_iter(variables.iter().copied());
    finish(noted(read_text(text, None, &environment)))
}

fn settings(text: &str) -> Settings {
    let config = read(text, &[]).unwrap_or_else(|error| panic!("{error}"));
    resolve(config).unwrap_or_else(|error| panic!("{error}"))
}

/// A file and variables together, as [`Config::load`] reads them.
fn load(text: &str, variables: &[(&str, &str)]) -> Config {
    let environment = Environment::from_iter(variables.iter().copied());
    let (mut config, mut problems) = read_text(text, None, &environment);
    problems.extend(source::read(&mut config, &environment));
    finish((config, problems)).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Each database as `name address number connections`.
fn shown(settings: &Settings) -> Vec<String> {
    let databases = settings.databases.iter();
    let shown = databases.map(|one| {
        let (name, address) = (&one.name, &one.address);
        format!("{name} {address} {} {}", one.number, one.max_connections)
    });
    shown.collect()
}
