//! A row of the table of settings, as data.

use super::setting::Schema;

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
