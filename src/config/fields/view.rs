//! The table as data: for each setting its keys, unit, range, default and variable.

use super::{FIELDS, Fallback, Keepalive, setting::Schema};

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Field {
    /// The name in messages, files and variables.
    pub(crate) key: &'static str,
    /// Further names in files.
    pub(crate) names: &'static [&'static str],
    /// The unit of a value without one.
    #[cfg(test)]
    pub(crate) unit: &'static str,
    #[cfg_attr(
        not(any(test, feature = "serde")),
        expect(dead_code, reason = "files need no types")
    )]
    pub(in crate::config) schema: Schema,
    #[cfg(test)]
    pub(crate) range: &'static str,
    #[cfg(test)]
    pub(crate) default: &'static str,
    /// A value, as files and variables hold it.
    pub(crate) example: &'static str,
    /// The variable that is read beside the one that is made from the key.
    pub(crate) variable: Option<&'static str>,
    /// The meaning in a sentence.
    #[cfg(test)]
    pub(crate) sentence: &'static str,
}

/// All rows: settings, and the parts of those that have parts.
pub(in crate::config) fn all() -> impl Iterator<Item = &'static Field> {
    let parts = Keepalive::FIELDS.iter().chain(Fallback::FIELDS);
    FIELDS.iter().chain(parts)
}

/// The setting that a key of a file names.
pub(in crate::config) fn find(key: &str) -> Option<&'static Field> {
    all().find(|field| field.key == key || field.names.contains(&key))
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
