//! The keys of a file: those of the table of settings, and those that are more than a setting.

use crate::config::{excerpt::quoted, field::Field, fields};

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Level {
    /// Above the databases, for all of them.
    All,
    /// Within one database.
    One,
}

/// A key that is more than a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Special {
    Databases,
    /// A block of settings of another dialect.
    Connection,
    DefaultDatabase,
    Io,
    AllowReadableSecrets,
    AliasOf,
    Description,
    PasswordFile,
    PasswordCommand,
    PasswordEnv,
    MaxRetries,
    /// Accepted, and without effect.
    Ignored,
}

/// A row of the table of special keys.
#[derive(Debug)]
pub(in crate::config) struct SpecialKey {
    pub(in crate::config) name: &'static str,
    pub(in crate::config) meaning: Special,
    /// `None` for both.
    level: Option<Level>,
    /// For the reference; the reason for a key without effect.
    pub(in crate::config) sentence: &'static str,
}

impl SpecialKey {
    pub(in crate::config) fn is_on(&self, level: Level) -> bool {
        self.level.is_none_or(|own| own == level)
    }
}

const fn row(
    name: &'static str,
    meaning: Special,
    level: Option<Level>,
    sentence: &'static str,
) -> SpecialKey {
    SpecialKey {
        name,
        meaning,
        level,
        sentence,
    }
}

const ALL: Option<Level> = Some(Level::All);
const ONE: Option<Level> = Some(Level::One);

/// All of them.
pub(in crate::config) const SPECIAL: &[SpecialKey] = &[
    row(
        "databases",
        Special::Databases,
        ALL,
        "The databases: a map from names to their settings, or to their URLs.",
    ),
    row(
        "redis_databases",
        Special::Databases,
        ALL,
        "As `databases`.",
    ),
    row(
        "connection",
        Special::Connection,
        ALL,
        "A block with `host`, `port` and other settings of all databases, and `default_db` and `cache_db`, the numbers of `main` and `cache`.",
    ),
    row(
        "default_database",
        Special::DefaultDatabase,
        ALL,
        "The database that stands in for unknown names. Default: none, so that an unknown name is an error.",
    ),
    row(
        "io",
        Special::Io,
        ALL,
        "The runtime of connections: `caller` or `dedicated`. Default: `caller`.",
    ),
    row(
        "allow_readable_secrets",
        Special::AllowReadableSecrets,
        ALL,
        "Whether files with secrets may be readable by all users of the machine. Default: false.",
    ),
    row(
        "alias_of",
        Special::AliasOf,
        ONE,
        "The database that this is another name of.",
    ),
    row(
        "description",
        Special::Description,
        None,
        "A text for readers of the file.",
    ),
    row(
        "password_file",
        Special::PasswordFile,
        None,
        "The path of a file that holds the password; a relative one starts at the folder of this file. It is read at each dial, and every 5 s while connections are open.",
    ),
    row(
        "password_command",
        Special::PasswordCommand,
        None,
        "A command for the shell that prints the password. It is run at each dial, and every minute while connections are open.",
    ),
    row(
        "password_env",
        Special::PasswordEnv,
        None,
        "The environment variable that holds the password.",
    ),
    row(
        "max_retries",
        Special::MaxRetries,
        None,
        "One less than `max_attempts`.",
    ),
    row(
        "decode_responses",
        Special::Ignored,
        None,
        "replies are converted to the type that the caller asks for",
    ),
    row(
        "log_commands",
        Special::Ignored,
        None,
        "commands are not logged, since they may hold secrets",
    ),
    row(
        "log_level",
        Special::Ignored,
        None,
        "the application decides which levels it sees",
    ),
    row(
        "retry_on_timeout",
        Special::Ignored,
        None,
        "what may run twice is sent again within the deadline, anything else is not",
    ),
    row(
        "retry_delay",
        Special::Ignored,
        None,
        "retries pause for a random time that grows from 8 to 512 ms",
    ),
    row(
        "pool_size",
        Special::Ignored,
        None,
        "connections are opened when they are needed, up to max_connections",
    ),
    row(
        "cache",
        Special::Ignored,
        ALL,
        "times to live belong to the application",
    ),
    row(
        "monitoring",
        Special::Ignored,
        ALL,
        "health_check_interval, attempt_timeout and failure_threshold say it per database",
    ),
    row(
        "health_monitor",
        Special::Ignored,
        ALL,
        "health_check_interval, attempt_timeout and failure_threshold say it per database",
    ),
];

/// What a key means.
pub(super) enum Key {
    Special(&'static SpecialKey),
    /// A setting, by the name that the table has for it.
    Setting(&'static Field),
    /// A map of settings whose names begin with the key.
    Group,
    Unknown,
}

/// The meaning of a key. Keys within groups stand behind that of the group: `keepalive.idle`.
pub(super) fn find(key: &str, level: Level) -> Key {
    let named = SPECIAL.iter().find(|special| special.name == key);
    if let Some(special) = named.filter(|special| special.is_on(level)) {
        return Key::Special(special);
    }
    if let Some(field) = fields::find(key) {
        return Key::Setting(field);
    }
    if is_group(key) {
        Key::Group
    } else {
        Key::Unknown
    }
}

/// All keys of a level that a reader may have meant.
pub(super) fn known(level: Level) -> impl Iterator<Item = &'static str> {
    let special = SPECIAL.iter().filter(move |special| special.is_on(level));
    let settings = fields::all().flat_map(|field| {
        let whole = field.key.split('.').next();
        whole.into_iter().chain(field.names.iter().copied())
    });
    special.map(|special| special.name).chain(settings)
}

/// Whether settings are named after this one: `keepalive.idle`.
pub(super) fn is_group(key: &str) -> bool {
    let is_member = |field: &Field| {
        let rest = field.key.strip_prefix(key);
        rest.is_some_and(|rest| rest.starts_with('.'))
    };
    fields::all().any(is_member)
}

/// A key as a message may show it: up to a colon, after which a value may stand, and in quotes if it has signs that no
/// key has.
pub(super) fn shown(key: &str) -> String {
    let key = key.split(':').next().unwrap_or_default();
    let is_usual = |c: char| c.is_alphanumeric() || "_.-".contains(c);
    if !key.is_empty() && key.len() <= 64 && key.chars().all(is_usual) {
        key.to_owned()
    } else {
        quoted(key)
    }
}
