//! A tree to a configuration.

use std::path::{Path, PathBuf};

use super::{
    interpolation::interpolate,
    keys::{self, Key, Level, Special, SpecialKey},
    node::{Content, Entry, Node},
    secrets,
};
use crate::config::{
    Alias, Config, DatabaseConfig, FilePosition, Io, Problem,
    environment::Environment,
    error::quoted,
    field::Field,
    fields,
    layer::Origin,
    note::ConfigNote,
    setting::{Setting, not},
    url::SecretUrl,
};
use crate::nearest::nearest;

/// What may be looked up for a tree.
pub(in crate::config) struct Context<'a> {
    pub(in crate::config) environment: &'a Environment,
    /// Whether values may hold variables. If not, another library has seen to them.
    pub(in crate::config) has_variables: bool,
    /// The file; `None` for a text.
    pub(in crate::config) file: Option<&'a Path>,
    /// Whether the environment permits secrets that all users of the machine may read.
    pub(in crate::config) allows_readable_secrets: bool,
}

/// What is known of a configuration while it is read.
pub(in crate::config) struct Reader<'a> {
    context: &'a Context<'a>,
    config: Config,
    problems: Vec<Problem>,
    /// The database that is being read.
    database: Option<String>,
    /// Secrets that all users of the machine may read, as problems unless that is allowed.
    readable: Vec<Problem>,
    allows_readable: bool,
    /// Numbers of databases that stand outside of the map of databases.
    numbers: Vec<(&'static str, Entry)>,
}

/// Reads a tree. All problems are found together.
pub(in crate::config) fn read(root: Node, context: &Context<'_>) -> (Config, Vec<Problem>) {
    let mut reader = Reader::new(context);
    reader.config.is_from_file = true;
    reader
        .config
        .files
        .extend(context.file.map(Path::to_path_buf));
    reader.read_root(root);
    reader.finish()
}

/// Reads the tree of one database.
#[cfg(feature = "serde")]
pub(in crate::config) fn read_one(
    root: Node,
    context: &Context<'_>,
) -> (DatabaseConfig, Vec<Problem>) {
    let mut reader = Reader::new(context);
    let database = reader.read_database(root);
    let (_, problems) = reader.finish();
    (database, problems)
}

impl<'a> Reader<'a> {
    fn new(context: &'a Context<'a>) -> Self {
        Self {
            context,
            config: Config::new(),
            problems: Vec::new(),
            database: None,
            readable: Vec::new(),
            allows_readable: context.allows_readable_secrets,
            numbers: Vec::new(),
        }
    }

    fn finish(mut self) -> (Config, Vec<Problem>) {
        if !self.allows_readable {
            self.problems.append(&mut self.readable);
        }
        (self.config, self.problems)
    }

    /// Keys above the databases come first, since each database starts with them.
    fn read_root(&mut self, root: Node) {
        let is_of_databases = |entry: &Entry| {
            matches!(keys::find(&entry.key, Level::All),
                Key::Special(special) if special.meaning == Special::Databases)
        };
        let at = root.at.clone();
        let entries = self.map(root, "file", "settings and databases");
        let (maps, common): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_of_databases);
        if maps.is_empty() && common.is_empty() {
            return self.problem(
                "file",
                &at,
                "holds no key, as in databases: {main: {url: redis://localhost/0}}",
            );
        }
        let mut all = DatabaseConfig::new();
        self.read_entries(&mut all, common, Level::All);
        self.config.common = all;
        let has_map = !maps.is_empty();
        let mut maps = maps.into_iter();
        if let Some(first) = maps.next() {
            self.read_databases(first);
        }
        for second in maps {
            self.problem(
                &second.key,
                &second.at,
                "stands beside another map of databases; keep one",
            );
        }
        self.read_numbers();
        if !has_map && self.config.databases.is_empty() {
            self.config
                .databases
                .push(("main".into(), self.config.common.clone()));
        }
    }

    fn read_databases(&mut self, Entry { key, value, .. }: Entry) {
        for Entry {
            key: name, value, ..
        } in self.map(value, &key, "names and settings")
        {
            self.database = Some(name.clone());
            let aliases = self.config.aliases.len();
            let database = self.read_database(value);
            if self.config.aliases.len() == aliases {
                self.config.databases.push((name, database));
            }
            self.database = None;
        }
    }

    fn read_database(&mut self, value: Node) -> DatabaseConfig {
        let mut database = self.config.common.clone();
        let entries = if matches!(value.content, Content::Text(_)) {
            // A database in short: its URL.
            let at = value.at.clone();
            vec![Entry {
                key: "url".into(),
                at,
                value,
            }]
        } else {
            self.map(value, "databases", "settings, or a URL")
        };
        self.read_entries(&mut database, entries, Level::One);
        database
    }

    /// The numbers of another dialect, for databases that have none of their own.
    fn read_numbers(&mut self) {
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

    fn read_entries(&mut self, target: &mut DatabaseConfig, entries: Vec<Entry>, level: Level) {
        let alias = entries.iter().find(|entry| entry.key == "alias_of");
        if let Some(alias) = alias.filter(|_| level == Level::One) {
            return self.read_alias(alias, &entries);
        }
        self.check_together(&entries);
        for entry in &entries {
            match keys::find(&entry.key, level) {
                Key::Special(special) => self.read_special(target, special, entry, level),
                Key::Setting(_) | Key::Group => self.read_key(target, &entry.key, entry, level),
                Key::Unknown => self.unknown(entry, level),
            }
        }
    }

    fn unknown(&mut self, entry: &Entry, level: Level) {
        let hint = match nearest(&entry.key, keys::known(level)) {
            Some(near) => format!("; did you mean {near}?"),
            None => String::new(),
        };
        self.problem(&entry.key, &entry.at, format!("is not known here{hint}"));
    }

    /// Reports settings that are given twice, under two names or in two ways.
    fn check_together(&mut self, entries: &[Entry]) {
        const WAYS: [&[&str]; 2] = [
            &["url", "host"],
            &["password", "password_file", "password_env"],
        ];
        let meaning = |entry: &Entry| fields::find(&entry.key).map(|field| field.key);
        for (at, entry) in entries.iter().enumerate() {
            let is_same = |earlier: &&Entry| {
                let ways =
                    |ways: &[&str]| ways.contains(&&*entry.key) && ways.contains(&&*earlier.key);
                let is_one = meaning(entry).is_some() && meaning(entry) == meaning(earlier);
                let are_values = ![entry, earlier]
                    .iter()
                    .any(|entry| matches!(entry.value.content, Content::Empty));
                are_values && (is_one || WAYS.iter().any(|one| ways(one)))
            };
            if let Some(earlier) = entries[..at].iter().find(is_same) {
                let message = format!(
                    "stands beside {}, which says the same; keep one",
                    earlier.key
                );
                self.problem(&entry.key, &entry.at, message);
            }
        }
    }

    fn read_alias(&mut self, alias: &Entry, entries: &[Entry]) {
        for entry in entries {
            let is_number = matches!(keys::find(&entry.key, Level::One), Key::Setting(field) if field.key == "number");
            if !is_number && !["alias_of", "description"].contains(&&*entry.key) {
                let message =
                    "has no effect on an alias, which has the settings of the other; remove it";
                self.problem(&entry.key, &entry.at, message);
            }
        }
        let Some(target) = self.text(&alias.key, &alias.value) else {
            return;
        };
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

    fn read_special(
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
            // A description is for readers. The others are handled before.
            Special::Description | Special::Databases | Special::AliasOf => {}
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
                "ssl" => self.refuse_tls(&entry),
                _ => settings.push(entry),
            }
        }
        self.read_entries(target, settings, Level::All);
    }

    fn refuse_tls(&mut self, entry: &Entry) {
        let Content::Map(parts) = &entry.value.content else {
            return;
        };
        let enabled = parts.iter().find(|part| part.key == "enabled");
        let text = enabled.and_then(|part| self.text("ssl.enabled", &part.value));
        if text.is_some_and(|text| bool::read(&text) != Ok(false)) {
            self.problem(
                "ssl.enabled",
                &entry.at,
                "asks for TLS, which is not supported yet; write false",
            );
        }
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
        let folder = self.context.file.and_then(Path::parent);
        let path = folder.map_or_else(|| PathBuf::from(&path), |folder| folder.join(&path));
        match secrets::read_password(&path) {
            Ok(password) => {
                self.refuse_readable(&path, &entry.key, &entry.value.at);
                self.config.files.push(path);
                self.set(target, "password", &password, entry, level);
            }
            Err(error) => {
                let message = format!("names {}, which cannot be read: {error}", path.display());
                self.problem(&entry.key, &entry.value.at, message);
            }
        }
    }

    /// A setting, or a map of settings.
    fn read_key(&mut self, target: &mut DatabaseConfig, key: &str, entry: &Entry, level: Level) {
        let field = fields::find(key);
        let whole = field.map_or(key, |field| field.key);
        match &entry.value.content {
            Content::Map(parts) if is_group(whole) => {
                for part in parts {
                    let key = format!("{whole}.{}", part.key);
                    if fields::find(&key).is_some() || is_group(&key) {
                        self.read_key(target, &key, part, level);
                    } else {
                        let members = fields::all()
                            .filter_map(|field| field.key.strip_prefix(whole)?.strip_prefix('.'));
                        let hint = nearest(&part.key, members);
                        let hint =
                            hint.map_or(String::new(), |near| format!("; did you mean {near}?"));
                        self.problem(&key, &part.at, format!("is not known here{hint}"));
                    }
                }
            }
            _ => self.read_setting(target, field, entry, level),
        }
    }

    fn read_setting(
        &mut self,
        target: &mut DatabaseConfig,
        field: Option<&'static Field>,
        entry: &Entry,
        level: Level,
    ) {
        let Some(field) = field else {
            let message = format!(
                "is {}, and should be a map of its parts",
                entry.value.kind()
            );
            return self.problem(&entry.key, &entry.value.at, message);
        };
        if field.key == "number" && level == Level::All {
            let message = "is of one database, and cannot be that of all; write it below each";
            return self.problem(&entry.key, &entry.at, message);
        }
        let Some(text) = self.text(&entry.key, &entry.value) else {
            return;
        };
        if self.is_secret(field, &text, &entry.value)
            && let Some(file) = self.context.file
        {
            self.refuse_readable(file, &entry.key, &entry.value.at);
        }
        if field.key == "url" && level == Level::All && SecretUrl::read(&text).is_ok() {
            let url = SecretUrl::new(text).without_number();
            target.url.offer(url, origin(level, entry));
            return;
        }
        self.set(target, field.key, &text, entry, level);
    }

    /// Whether a text is a secret that stands in the file as it is.
    fn is_secret(&self, field: &Field, text: &str, value: &Node) -> bool {
        let Content::Text(written) = &value.content else {
            return false;
        };
        let is_literal = !self.context.has_variables || !written.contains("${");
        let is_secret = match field.key {
            "password" => true,
            "url" => SecretUrl::new(text)
                .parse()
                .is_ok_and(|location| location.password.is_some()),
            _ => false,
        };
        is_literal && is_secret
    }

    fn refuse_readable(&mut self, file: &Path, key: &str, at: &Option<FilePosition>) {
        if let Some(mode) = secrets::readable_by_all(file) {
            let message = format!(
                "is a secret in {}, which {}",
                file.display(),
                secrets::advice(mode)
            );
            let database = self.database.as_deref();
            self.readable
                .push(Problem::new(database, key, message).at(at.clone()));
        }
    }

    fn set(
        &mut self,
        target: &mut DatabaseConfig,
        key: &str,
        text: &str,
        entry: &Entry,
        level: Level,
    ) {
        let text = if key == "password" { text } else { text.trim() };
        if let Err(message) = target.set(key, text, &origin(level, entry)) {
            let example = fields::find(key)
                .map(|field| field.example)
                .unwrap_or_default();
            let message = match key {
                // URLs have examples of their own.
                "url" => message,
                _ => format!("{message}, as in {}: {example}", entry.key),
            };
            self.problem(&entry.key, &entry.value.at, message);
        }
    }

    /// A single value with its variables replaced. Nothing at all is as good as no key.
    fn text(&mut self, key: &str, value: &Node) -> Option<String> {
        match &value.content {
            Content::Empty => None,
            Content::Text(text) if !self.context.has_variables => Some(text.clone()),
            Content::Text(text) => match interpolate(text, self.context.environment) {
                Ok((text, has_variables)) => {
                    Some(text).filter(|text| !has_variables || !text.is_empty())
                }
                Err(message) => {
                    self.problem(key, &value.at, message);
                    None
                }
            },
            Content::List(_) | Content::Map(_) => {
                let example = fields::find(key).map_or(String::new(), |field| {
                    format!(", as in {key}: {}", field.example)
                });
                let message = format!("is {}, and should be a single value{example}", value.kind());
                self.problem(key, &value.at, message);
                None
            }
        }
    }

    /// The entries of a map. Nothing at all is an empty one.
    fn map(&mut self, node: Node, key: &str, expected: &str) -> Vec<Entry> {
        let kind = node.kind();
        match node.content {
            Content::Map(entries) => entries,
            Content::Empty => Vec::new(),
            Content::Text(_) | Content::List(_) => {
                self.problem(
                    key,
                    &node.at,
                    format!("is {kind}, and should be a map of {expected}"),
                );
                Vec::new()
            }
        }
    }

    fn problem(&mut self, key: &str, at: &Option<FilePosition>, message: impl Into<String>) {
        let database = self.database.as_deref();
        self.problems
            .push(Problem::new(database, key, message).at(at.clone()));
    }
}

/// Whether settings are named after this one: `keepalive.idle`.
fn is_group(key: &str) -> bool {
    let is_member = |field: &Field| {
        field
            .key
            .strip_prefix(key)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    fields::all().any(is_member)
}

/// Where a value comes from. One without a place was given by the application.
fn origin(level: Level, entry: &Entry) -> Origin {
    match (&entry.value.at, level) {
        (Some(at), Level::All) => Origin::FileForAll(at.clone()),
        (Some(at), Level::One) => Origin::File(at.clone()),
        (None, _) => Origin::Setter,
    }
}
