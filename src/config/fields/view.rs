//! The table as data: for each setting its keys, unit, range, default and variable.

use super::{FIELDS, Fallback, Field, Keepalive, Tls};

/// All rows: settings, and the parts of those that have parts.
pub(in crate::config) fn all() -> impl Iterator<Item = &'static Field> {
    let parts = Tls::FIELDS.iter().chain(Keepalive::FIELDS);
    FIELDS.iter().chain(parts).chain(Fallback::FIELDS)
}

/// The setting that a key of a file names.
pub(in crate::config) fn find(key: &str) -> Option<&'static Field> {
    all().find(|field| field.key == key || field.names.contains(&key))
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
