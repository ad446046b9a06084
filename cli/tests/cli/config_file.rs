//! Configuration files of tests.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use tempfile::NamedTempFile;

/// A file that ends with its value.
pub(crate) struct ConfigFile(NamedTempFile);

impl ConfigFile {
    pub(crate) fn new(text: &str) -> Self {
        let file = NamedTempFile::with_suffix(".yaml").expect("a file");
        fs::write(file.path(), text).expect("a file that can be written");
        // Files with passwords have to be those of their user alone.
        let mine = fs::Permissions::from_mode(0o600);
        fs::set_permissions(file.path(), mine).expect("permissions");
        Self(file)
    }

    /// A file of databases with these URLs.
    pub(crate) fn of(databases: &[(&str, &str)]) -> Self {
        let lines = databases.iter();
        let lines = lines.map(|(name, url)| format!("  {name}: {{url: '{url}'}}\n"));
        Self::new(&format!("databases:\n{}", lines.collect::<String>()))
    }

    pub(crate) fn path(&self) -> &str {
        let path: &Path = self.0.path();
        path.to_str().expect("a path of characters")
    }
}
