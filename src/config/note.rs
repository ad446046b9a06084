//! What is worth knowing of a configuration that can be used.

use std::fmt;

use super::{error::quoted, position::FilePosition};

/// Something in a configuration that has no effect, or perhaps another one than was meant. See
/// [`Config::notes`](crate::Config::notes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigNote {
    database: Option<String>,
    key: String,
    message: String,
    position: Option<FilePosition>,
}

impl ConfigNote {
    pub(super) fn new(
        database: Option<&str>,
        key: &str,
        message: impl Into<String>,
        position: Option<FilePosition>,
    ) -> Self {
        Self {
            database: database.map(str::to_owned),
            key: key.to_owned(),
            message: message.into(),
            position,
        }
    }

    /// The database that it is about; `None` for all.
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// The key or the variable that it is about.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What there is to know, in a sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The place in the file; `None` for what comes from elsewhere.
    pub fn position(&self) -> Option<&FilePosition> {
        self.position.as_ref()
    }
}

/// As a [`Problem`](crate::Problem).
impl fmt::Display for ConfigNote {
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
