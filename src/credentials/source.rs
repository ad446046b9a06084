//! Where the credentials of a database come from.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Credentials, CredentialsProvider, command, file};

/// One of the ways to credentials that change.
#[derive(Clone)]
pub(crate) enum CredentialsSource {
    File(PathBuf),
    Command(Arc<str>),
    Provider(Arc<dyn CredentialsProvider>),
}

impl CredentialsSource {
    pub(crate) fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(path.into())
    }

    pub(crate) fn command(command: impl Into<String>) -> Self {
        Self::Command(command.into().into())
    }

    pub(crate) fn provider(provider: impl CredentialsProvider) -> Self {
        Self::Provider(Arc::new(provider))
    }

    /// The password in a file, for a look at it before it is needed.
    pub(crate) fn read_file(path: &Path) -> std::io::Result<String> {
        file::read(path)
    }

    /// # Errors
    /// A text without secrets.
    pub(crate) async fn fetch(&self, database: &str) -> Result<Credentials, String> {
        match self {
            Self::File(path) => file::fetch(path).await,
            Self::Command(text) => command::fetch(text).await,
            Self::Provider(provider) => {
                let fetched = provider.fetch(database).await;
                fetched.map_err(|error| format!("the provider cannot tell them: {error}"))
            }
        }
    }
}

impl PartialEq for CredentialsSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Command(one), Self::Command(other)) => one == other,
            (Self::Provider(one), Self::Provider(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// A command may hold a secret.
impl fmt::Debug for CredentialsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Command(_) => f.write_str("Command(***)"),
            Self::Provider(provider) => provider.fmt(f),
        }
    }
}
