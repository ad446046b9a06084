//! A provider that is a function.

use std::{error::Error, fmt, future::Future};

use super::{Credentials, CredentialsFuture, CredentialsProvider};

/// A [`CredentialsProvider`] that is an async function from the name of a database.
///
/// ```
/// use redis_steward::{Credentials, CredentialsFn, DatabaseConfig};
///
/// let from_vault = CredentialsFn::new(|database: String| async move {
///     let secret = std::fs::read_to_string(format!("/run/secrets/{database}"))?; // …
///     std::io::Result::Ok(Credentials::new(secret.trim()))
/// });
/// let cache = DatabaseConfig::from_url("redis://cache.internal").credentials(from_vault);
/// ```
pub struct CredentialsFn<F>(F);

impl<F> CredentialsFn<F> {
    /// Asks this function.
    pub fn new<Fut, E>(function: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Credentials, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self(function)
    }
}

impl<F> fmt::Debug for CredentialsFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsFn").finish_non_exhaustive()
    }
}

impl<F, Fut, E> CredentialsProvider for CredentialsFn<F>
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Credentials, E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    fn fetch<'a>(&'a self, database: &'a str) -> CredentialsFuture<'a> {
        let fetching = (self.0)(database.to_owned());
        Box::pin(async { fetching.await.map_err(Into::into) })
    }
}
