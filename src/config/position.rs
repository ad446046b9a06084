//! A place in a file.

use std::{fmt, sync::Arc};

/// A place in a configuration file: `config/redis-databases.yaml:5:12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePosition {
    file: Arc<str>,
    line: usize,
    column: usize,
}

impl FilePosition {
    pub(super) fn new(file: Arc<str>, line: usize, column: usize) -> Self {
        Self { file, line, column }
    }

    /// The path of the file as it was given, or `(text)` for a text without one.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column in characters, from 1.
    pub fn column(&self) -> usize {
        self.column
    }
}

/// `file:line:column`, as editors and terminals open it.
impl fmt::Display for FilePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
