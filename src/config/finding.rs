//! Something found in a configuration: its place, and a sentence.

use std::fmt;

use super::{excerpt::quoted, position::FilePosition};

/// What [problems](crate::Problem) and [notes](crate::ConfigNote) consist of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) database: Option<String>,
    /// The setting, or the variable.
    pub(super) key: String,
    pub(super) message: String,
    pub(super) position: Option<FilePosition>,
}

impl Finding {
    pub(super) fn new(database: Option<&str>, key: &str, message: impl Into<String>) -> Self {
        Self {
            database: database.map(str::to_owned),
            key: key.to_owned(),
            message: message.into(),
            position: None,
        }
    }
}

/// `file:line:column: database "name": key: message`, of which the first two may be absent.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = &self.position {
            write!(f, "{position}: ")?;
        }
        if let Some(database) = &self.database {
            write!(f, "database {}: ", quoted(database))?;
        }
        write!(f, "{}: {}", self.key, self.message)
    }
}
