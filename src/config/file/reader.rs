//! A tree to a configuration.

use std::path::{Path, PathBuf};

use super::{
    interpolation::{self, interpolate},
    keys::{self, Key, Level, Special, is_group},
    node::{Content, Entry, Node},
    secrets,
};
use crate::config::{
    Config, DatabaseConfig, FilePosition, Problem, environment::Environment, field::Field, fields,
    layer::Origin, setting::Setting, tls, url::SecretUrl,
};
use crate::nearest::hint;

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
    pub(super) context: &'a Context<'a>,
    pub(super) config: Config,
    pub(super) problems: Vec<Problem>,
    /// The database that is being read.
    pub(super) database: Option<String>,
    /// Secrets that all users of the machine may read, as problems unless that is allowed.
    readable: Vec<Problem>,
    pub(super) allows_readable: bool,
    /// Numbers of databases that stand outside of the map of databases.
    pub(super) numbers: Vec<(&'static str, Entry)>,
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
    if let Some(alias) = reader.config.aliases.pop() {
        let message = "is for a database among others, and this one stands alone";
        reader.problem("alias_of", &alias.at, message);
    }
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
            let message =
                "has no keys; write for instance databases: {main: {url: redis://localhost/0}}";
            return self.problem("file", &at, message);
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

    fn read_databases(&mut self, Entry { key, at, value }: Entry) {
        let is_map = !matches!(value.content, Content::Text(_) | Content::List(_));
        let databases = self.map(value, &key, "names and settings");
        if is_map && databases.is_empty() {
            let message = "names no database; write for instance main: {db: 0} below it";
            self.problem(&key, &at, message);
        }
        for Entry {
            key: name,
            at,
            value,
        } in databases
        {
            // Without its space, what follows the colon is part of the name in YAML, also a password.
            if name.contains(':') {
                self.problem(&name, &at, NO_SPACE);
                continue;
            }
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

    pub(super) fn read_entries(
        &mut self,
        target: &mut DatabaseConfig,
        entries: Vec<Entry>,
        level: Level,
    ) {
        let alias = entries.iter().find(|entry| entry.key == "alias_of");
        if let Some(alias) = alias.filter(|_| level == Level::One)
            && let Some(target) = self.text(&alias.key, &alias.value)
        {
            return self.read_alias(alias, target, &entries);
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
        if entry.key.contains(':') {
            return self.problem(&entry.key, &entry.at, NO_SPACE);
        }
        let hint = hint(&entry.key, keys::known(level));
        self.problem(&entry.key, &entry.at, format!("is not known here{hint}"));
    }

    /// Reports settings that are given twice, under two names or in two ways.
    fn check_together(&mut self, entries: &[Entry]) {
        const WAYS: [&[&str]; 3] = [
            &["url", "host"],
            &["url", "port"],
            &[
                "password",
                "password_file",
                "password_command",
                "password_env",
                "credentials",
            ],
        ];
        let meaning = |entry: &Entry| match entry.key.as_str() {
            "max_retries" => Some("max_attempts"),
            key => fields::find(key).map(|field| field.key),
        };
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
                        let hint = hint(&part.key, members);
                        self.problem(&key, &part.at, format!("is not known here{hint}"));
                    }
                }
            }
            _ => self.read_setting(target, field, entry, level),
        }
    }

    pub(super) fn read_setting(
        &mut self,
        target: &mut DatabaseConfig,
        field: Option<&'static Field>,
        entry: &Entry,
        level: Level,
    ) {
        let Some(field) = field else {
            let parts = fields::all()
                .filter_map(|field| field.key.strip_prefix(&entry.key)?.strip_prefix('.'));
            let message = format!(
                "is {}, and should be a map of {}",
                entry.value.kind(),
                parts.collect::<Vec<_>>().join(" and ")
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
        if self.is_secret(field, &entry.value)
            && let Some(file) = self.context.file
        {
            self.refuse_readable(file, &entry.key, &entry.value.at);
        }
        if field.key == "url" && level == Level::All && SecretUrl::read(&text).is_ok() {
            let url = SecretUrl::new(text).without_number();
            target.offer_url(url, &origin(level, entry));
            return;
        }
        let path = text.trim().strip_prefix("file:").map(str::trim);
        let text = match path.filter(|path| field.key == "credentials" && !path.is_empty()) {
            Some(path) => format!("file:{}", self.in_folder(path).display()),
            None => text,
        };
        self.set(target, field.key, &text, entry, level);
    }

    /// Whether a value holds a secret that does not come from a variable.
    fn is_secret(&self, field: &Field, value: &Node) -> bool {
        let Content::Text(written) = &value.content else {
            return false;
        };
        let own = if self.context.has_variables {
            interpolation::without_variables(written)
        } else {
            written.clone()
        };
        match field.key {
            "password" | "sentinel_password" => !own.is_empty(),
            "url" => secrets::url_has_password(&own),
            _ => false,
        }
    }

    pub(super) fn refuse_readable(&mut self, file: &Path, key: &str, at: &Option<FilePosition>) {
        if let Some(mode) = secrets::readable_by_all(file) {
            let message = format!(
                "is a secret in {}, which {}",
                file.display(),
                secrets::advice(mode)
            );
            let database = self.database.as_deref();
            let problem = Problem::new(database, key, message).at(at.clone());
            self.readable.push(problem);
        }
    }

    pub(super) fn set(
        &mut self,
        target: &mut DatabaseConfig,
        key: &str,
        text: &str,
        entry: &Entry,
        level: Level,
    ) {
        let is_password = ["password", "sentinel_password"].contains(&key);
        let text = if is_password { text } else { text.trim() };
        let in_folder = tls::is_file(key).then(|| self.in_folder(text).display().to_string());
        let text = in_folder.as_deref().unwrap_or(text);
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

    /// A path that a file names, where a relative one starts at the folder of that file.
    pub(super) fn in_folder(&self, path: &str) -> PathBuf {
        let folder = self.context.file.and_then(Path::parent);
        folder.map_or_else(|| PathBuf::from(path), |folder| folder.join(path))
    }

    /// A single value with its variables replaced. Nothing at all is as good as no key.
    pub(super) fn text(&mut self, key: &str, value: &Node) -> Option<String> {
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
    pub(super) fn map(&mut self, node: Node, key: &str, expected: &str) -> Vec<Entry> {
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

    /// A key is shown up to its first colon: the rest may be a value.
    pub(super) fn problem(
        &mut self,
        key: &str,
        at: &Option<FilePosition>,
        message: impl Into<String>,
    ) {
        let database = self.database.as_deref();
        let problem = Problem::new(database, &keys::shown(key), message);
        self.problems.push(problem.at(at.clone()));
    }
}

const NO_SPACE: &str = "has no space after its colon, so that YAML takes all of it for a key";

/// Where a value comes from. One without a place is in the configuration of the application.
fn origin(level: Level, entry: &Entry) -> Origin {
    match (&entry.value.at, level) {
        (Some(at), Level::All) => Origin::FileForAll(at.clone()),
        (Some(at), Level::One) => Origin::File(at.clone()),
        (None, Level::All) => Origin::EmbeddedForAll,
        (None, Level::One) => Origin::Embedded,
    }
}
