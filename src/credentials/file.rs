//! Passwords in files.

use std::{io, path::Path, time::Duration};

use tokio::task::spawn_blocking;

use super::Credentials;

/// A file is looked at so often while connections are open.
const CHECK: Duration = Duration::from_secs(5);

/// The password in a file. A line end after it is not part of it.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let text = std::fs::read_to_string(path)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let password = text.strip_suffix('\n').unwrap_or(text);
    Ok(password.strip_suffix('\r').unwrap_or(password).to_owned())
}

pub(super) async fn fetch(path: &Path) -> Result<Credentials, String> {
    let owned = path.to_owned();
    let read = spawn_blocking(move || read(&owned)).await;
    let problem = |reason: &dyn std::fmt::Display| {
        format!("the file {} cannot be read: {reason}", path.display())
    };
    match read {
        Ok(Ok(password)) if password.is_empty() => Err(problem(&"it is empty")),
        Ok(Ok(password)) => Ok(Credentials::new(password).check_after(CHECK)),
        Ok(Err(error)) => Err(problem(&error)),
        Err(error) => Err(problem(&error)),
    }
}
