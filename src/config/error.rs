//! The problems of a configuration, all at once.

use std::{error::Error, fmt};

use super::{finding::Finding, position::FilePosition};

/// A configuration that cannot be used, with every [`Problem`] found in it.
///
/// Everything is checked together, so that one round of corrections is enough. Neither `Display`
/// nor `Debug` shows a URL, a user name or a password.
///
/// ```
/// use redis_steward::Config;
///
/// let error = Config::single("localhost:6379").check().unwrap_err();
/// assert_eq!(error.problems().len(), 1);
/// assert_eq!(error.problems()[0].database(), Some("main"));
/// assert_eq!(error.problems()[0].field(), "url");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        debug_assert!(
            !problems.is_empty(),
            "BUG: a configuration error without a problem"
        );
        Self { problems }
    }

    /// All problems, database by database in the order of the configuration. Never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.problems.len() == 1 {
            "problem"
        } else {
            "problems"
        };
        write!(f, "{} {noun} in the configuration:", self.problems.len())?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

/// The same as `Display`, since a `main` that returns the error prints this.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ConfigError {}

/// One thing to correct: its place, the problem, and the way to correct it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(Finding);

impl Problem {
    pub(super) fn new(database: Option<&str>, field: &str, message: impl Into<String>) -> Self {
        Self(Finding::new(database, field, message))
    }

    pub(super) fn at(mut self, position: Option<FilePosition>) -> Self {
        self.0.position = position;
        self
    }

    /// The database with the problem; `None` for the configuration as a whole and for environment
    /// variables.
    pub fn database(&self) -> Option<&str> {
        self.0.database.as_deref()
    }

    /// The setting, such as `connect_timeout`, or the environment variable, such as `REDIS_PORT`.
    pub fn field(&self) -> &str {
        &self.0.key
    }

    /// The place in the file with the problem; `None` if it comes from elsewhere.
    pub fn position(&self) -> Option<&FilePosition> {
        self.0.position.as_ref()
    }

    /// The problem and the way to correct it, in a sentence.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

/// `file:line:column: database "name": setting: message`, of which the first two may be absent.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_problem() {
        let one = ConfigError::new(vec![Problem::new(None, "databases", "none is named")]);
        assert_eq!(
            one.to_string(),
            "1 problem in the configuration:\n  databases: none is named"
        );

        let two = ConfigError::new(vec![
            Problem::new(Some("ca\nche"), "min_idle", "too many"),
            Problem::new(None, "REDIS_PORT", "too large"),
        ]);
        assert_eq!(
            two.to_string(),
            "2 problems in the configuration:
  database \"ca\\nche\": min_idle: too many
  REDIS_PORT: too large"
        );
    }
}
