//! The last failure of a database.

use std::{fmt, time::SystemTime};

/// The last failure that a caller of a database was told of; see
/// [`DatabaseStats::last_error`](crate::DatabaseStats::last_error).
///
/// `Display` gives its text. As the errors themselves, it has no password and no value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastError {
    /// The text of the error.
    pub text: String,
    /// When the caller was told.
    pub at: SystemTime,
}

impl fmt::Display for LastError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
