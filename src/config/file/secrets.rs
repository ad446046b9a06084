//! Secrets in files: reading them, and whether others may read them, too.

use std::{fs, io, path::Path};

/// The mode of a file, if users other than its owner and its group may read it.
#[cfg(unix)]
pub(super) fn readable_by_all(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o004 != 0).then_some(mode & 0o777)
}

/// Other systems have other rules, which this crate does not know.
#[cfg(not(unix))]
pub(super) fn readable_by_all(_: &Path) -> Option<u32> {
    None
}

/// What to do about a file that all users of the machine may read.
pub(super) fn advice(mode: u32) -> String {
    format!(
        "can be read by all users of this machine (mode {mode:04o}); run chmod o-r on it, or set \
         allow_readable_secrets: true"
    )
}

/// The password in a file. A line end after it is not part of it.
pub(super) fn read_password(path: &Path) -> io::Result<String> {
    let text = fs::read_to_string(path)?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    Ok(password.strip_suffix('\r').unwrap_or(password).to_owned())
}
