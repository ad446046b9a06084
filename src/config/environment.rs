//! The environment: its variables at one moment, as an argument, since a process has only one and tests run
//! side by side.

use std::{collections::BTreeMap, ffi::OsString, fmt, path::Path};

use super::setting::Setting;

/// The variables of a process.
#[derive(Clone, Default)]
pub(super) struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// Those of this process, as they are now. A name that is not UTF-8 is none of ours.
    pub(super) fn of_process() -> Self {
        let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        Self(std::env::vars_os().filter_map(named).collect())
    }

    /// The value of a variable. An empty one counts as unset.
    ///
    /// # Errors
    /// It is not UTF-8 text.
    pub(super) fn get(&self, name: &str) -> Option<Result<String, String>> {
        let value = self.0.get(name).filter(|value| !value.is_empty())?;
        let text = value.clone().into_string();
        Some(text.map_err(|_| "is not UTF-8 text".into()))
    }

    /// Whether a variable names this file.
    pub(super) fn is_path(&self, name: &str, path: &Path) -> bool {
        self.path(name).is_some_and(|named| named == path)
    }

    /// The file that a variable names.
    pub(super) fn path(&self, name: &str) -> Option<&Path> {
        let value = self.0.get(name).filter(|value| !value.is_empty());
        value.map(Path::new)
    }

    /// Whether a variable switches something on.
    ///
    /// # Errors
    /// It is neither true nor false.
    pub(super) fn is_switched_on(&self, name: &str) -> Result<bool, String> {
        self.get(name)
            .map_or(Ok(false), |text| bool::read(text?.trim()))
    }

    /// The names of all variables that are set to something, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let set = self.0.iter().filter(|(_, value)| !value.is_empty());
        set.map(|(name, _)| name.as_str())
    }
}

/// Shows nothing, since any variable may hold a secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

#[cfg(test)]
impl<N: Into<String>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        Self(
            variables
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}
