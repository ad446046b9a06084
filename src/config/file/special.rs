//! Keys of a file that are more than a setting.

use super::{
    keys::{self, Key, Level, Special, SpecialKey},
    node::Entry,
    reader::Reader,
    secrets,
};
use crate::config::{
    Alias, DatabaseConfig, Io,
    excerpt::quoted,
    fields,
    layer::Origin,
    note::ConfigNote,
    setting::{Setting, not},
};

impl Reader<'_> {
    /// A further name of the database `target`.
    pub(super) fn read_alias(&mut self, alias: &Entry, target: String, entries: &[Entry]) {
        for entry in entries {
            let is_number = matches!(keys::find(&entry.key, Level::One), Key::Setting(field) if field.key == "number");
            if !is_number && !["alias_of", "description"].contains(&&*entry.key) {
                let message =
                    "has no effect on an alias, which has the settings of the other; remove it";
                self.problem(&entry.key, &entry.at, message);
            }
        }
        let number = entries
            .iter()
            .find(|entry| fields::find(&entry.key).is_some_and(|field| field.key == "number"));
        let number = number.and_then(|entry| Some((self.text(&entry.key, &entry.value)?, entry)));
        let number = number.and_then(|(text, entry)| match i64::read(&text) {
            Ok(number) => Some(number),
            Err(message) => {
                self.problem(&entry.key, &entry.value.at, message);
                None
            }
        });
        self.config.aliases.push(Alias {
            name: self.database.clone().unwrap_or_default(),
            target,
            number,
            at: alias.value.at.clone(),
        });
    }

    pub(super) fn read_special(
        &mut self,
        target: &mut DatabaseConfig,
        special: &SpecialKey,
        entry: &Entry,
        level: Level,
    ) {
        match special.meaning {
            Special::Ignored => {
                let database = self.database.as_deref();
                let message = format!("has no effect: {}", special.sentence);
                self.config.notes.push(ConfigNote::new(
                    database,
                    &entry.key,
                    message,
                    entry.at.clone(),
                ));
            }
            Special::Connection => self.read_connection(target, entry),
            Special::PasswordFile => self.read_password_file(target, entry, level),
            Special::MaxRetries => self.read_max_retries(target, entry, level),
            Special::PasswordEnv => {
                if let Some(variable) = self.text(&entry.key, &entry.value) {
                    match self.context.environment.get(&variable) {
                        Some(Ok(password)) => self.set(target, "password", &password, entry, level),
                        Some(Err(message)) => self.problem(
                            &entry.key,
                            &entry.value.at,
                            format!("names {variable}, which {message}"),
                        ),
                        None => self.problem(
                            &entry.key,
                            &entry.value.at,
                            format!("names the variable {}, which is not set", quoted(&variable)),
                        ),
                    }
                }
            }
            Special::DefaultDatabase => {
                self.config.default_database = self.text(&entry.key, &entry.value)
            }
            Special::Io => {
                let Some(text) = self.text(&entry.key, &entry.value) else {
                    return;
                };
                match text.to_ascii_lowercase().as_str() {
                    "caller" => self.config.io = Io::Caller,
                    "dedicated" => self.config.io = Io::Dedicated,
                    _ => self.problem(
                        &entry.key,
                        &entry.value.at,
                        not(&text, "caller or dedicated"),
                    ),
                }
            }
            Special::AllowReadableSecrets => {
                match self
                    .text(&entry.key, &entry.value)
                    .map(|text| bool::read(&text))
                {
                    Some(Ok(allows)) => self.allows_readable = allows,
                    Some(Err(message)) => self.problem(&entry.key, &entry.value.at, message),
                    None => {}
                }
            }
            Special::Databases => {
                self.problem(&entry.key, &entry.at, "has to stand at the top of the file");
            }
            // A description is for readers, and an alias without a name is none.
            Special::Description | Special::AliasOf => {}
        }
    }

    /// The `connection` block of another dialect.
    fn read_connection(&mut self, target: &mut DatabaseConfig, block: &Entry) {
        let entries = self.map(block.value.clone(), &block.key, "settings");
        let mut settings = Vec::new();
        for entry in entries {
            match entry.key.as_str() {
                "default_db" => self.numbers.push(("main", entry)),
                "cache_db" => self.numbers.push(("cache", entry)),
                _ => settings.push(entry),
            }
        }
        self.read_entries(target, settings, Level::All);
    }

    fn read_max_retries(&mut self, target: &mut DatabaseConfig, entry: &Entry, level: Level) {
        let Some(text) = self.text(&entry.key, &entry.value) else {
            return;
        };
        match u32::read(&text) {
            Ok(retries) => {
                let attempts = retries.saturating_add(1).to_string();
                self.set(target, "max_attempts", &attempts, entry, level);
            }
            Err(message) => self.problem(
                &entry.key,
                &entry.value.at,
                format!("{message}, as in max_retries: 2"),
            ),
        }
    }

    fn read_password_file(&mut self, target: &mut DatabaseConfig, entry: &Entry, level: Level) {
        let Some(path) = self.text(&entry.key, &entry.value) else {
            return;
        };
        let path = self.in_folder(&path);
        // Watched also if it is not there yet.
        self.config.files.push(path.clone());
        match secrets::read_password(&path) {
            Ok(password) => {
                self.refuse_readable(&path, &entry.key, &entry.value.at);
                self.set(target, "password", &password, entry, level);
            }
            Err(error) => {
                let message = format!("names {}, which cannot be read: {error}", path.display());
                self.problem(&entry.key, &entry.value.at, message);
            }
        }
    }

    /// The numbers of another dialect, for databases that have none of their own.
    pub(super) fn read_numbers(&mut self) {
        for (name, entry) in std::mem::take(&mut self.numbers) {
            self.database = Some(name.to_owned());
            let databases = self.config.databases.iter();
            let at = databases.clone().position(|(known, _)| known == name);
            let at = at.unwrap_or_else(|| {
                self.config
                    .databases
                    .push((name.into(), self.config.common.clone()));
                self.config.databases.len() - 1
            });
            let mut database = std::mem::take(&mut self.config.databases[at].1);
            if *database.number.origin() == Origin::Default {
                self.read_setting(&mut database, fields::find("number"), &entry, Level::One);
            }
            self.config.databases[at].1 = database;
            self.database = None;
        }
    }
}
