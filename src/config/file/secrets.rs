//! Secrets in files: reading them, and whether others may read them, too.

use std::path::Path;

use crate::config::source::ALLOW_READABLE_SECRETS;

/// The mode of a file, if users other than its owner and its group may read it.
#[cfg(unix)]
pub(super) fn readable_by_all(path: &Path) -> Option<u32> {
    use std::{fs, os::unix::fs::PermissionsExt};
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
        "can be read by all users of this machine (mode {mode:04o}); run chmod o-r on it, set defaultMode: 0440 for a \
         volume of Kubernetes, or permit it with allow_readable_secrets: true or {ALLOW_READABLE_SECRETS}=true"
    )
}

/// Whether a URL, or what is left of one without its variables, has a password.
pub(super) fn url_has_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return false;
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let login = rest[..end].rsplit_once('@').map_or("", |(login, _)| login);
    let of_login = login
        .split_once(':')
        .is_some_and(|(_, password)| !password.is_empty());
    let of_query = |option: &str| {
        option
            .strip_prefix("pass=")
            .is_some_and(|password| !password.is_empty())
    };
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    of_login || query.split('&').any(of_query)
}
