//! What is worth knowing of a configuration that can be used.

use std::fmt;

use super::{finding::Finding, position::FilePosition};

/// Something in a configuration that has no effect, or perhaps another one than was meant. See
/// [`Config::notes`](crate::Config::notes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigNote(Finding);

impl ConfigNote {
    pub(super) fn new(
        database: Option<&str>,
        key: &str,
        message: impl Into<String>,
        position: Option<FilePosition>,
    ) -> Self {
        Self(Finding {
            position,
            ..Finding::new(database, key, message)
        })
    }

    /// The database that it is about; `None` for all.
    pub fn database(&self) -> Option<&str> {
        self.0.database.as_deref()
    }

    /// The key or the variable that it is about.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// What there is to know, in a sentence.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The place in the file; `None` for what comes from elsewhere.
    pub fn position(&self) -> Option<&FilePosition> {
        self.0.position.as_ref()
    }
}

/// As a [`Problem`](crate::Problem).
impl fmt::Display for ConfigNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
