//! Where user names and passwords come from that change while a program runs.
//!
//! - this file: [`CredentialsProvider`] and [`Credentials`] · `function`: a provider that is a function · `file`,
//!   `command`: passwords in files, and from programs · `source`: one of these, as a database has it

mod command;
mod file;
mod function;
mod source;

use std::{error::Error, fmt, future::Future, pin::Pin, time::Duration};

use secrecy::{ExposeSecret, SecretString};

pub use function::CredentialsFn;
pub(crate) use source::CredentialsSource;

/// The answer of a [`CredentialsProvider`], once it is there.
pub type CredentialsFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Credentials, Box<dyn Error + Send + Sync>>> + Send + 'a>>;

/// Says as whom a database logs in.
///
/// [`DatabaseConfig::credentials`](crate::DatabaseConfig::credentials) sets one. It is asked at every dial, and has the
/// [connect timeout](crate::DatabaseConfig::connect_timeout) to answer; dials at the same time share an answer. For open
/// connections it is asked again as [`Credentials::valid_for`] and [`Credentials::check_after`] say. They then
/// authenticate in place, between commands, so that no call waits or fails; a leased connection does so when it is given
/// back. If the server refuses the new credentials, the connection goes on with the former ones as long as the server
/// lets it, the database is degraded, and it is tried again after a pause.
///
/// Passwords in a file, and those that a program prints, need no provider of one's own: see
/// [`password_file`](crate::DatabaseConfig::password_file) and
/// [`password_command`](crate::DatabaseConfig::password_command). [`CredentialsFn`] makes one from a function.
///
/// ```
/// use redis_steward::{Credentials, CredentialsFuture, CredentialsProvider, DatabaseConfig};
/// use std::time::Duration;
///
/// /// Signs a token of a cloud provider.
/// #[derive(Debug)]
/// struct Tokens;
///
/// impl CredentialsProvider for Tokens {
///     fn fetch<'a>(&'a self, _database: &'a str) -> CredentialsFuture<'a> {
///         Box::pin(async {
///             let token = String::from("a signed request"); // …
///             Ok(Credentials::new(token).username("app").valid_for(Duration::from_secs(900)))
///         })
///     }
/// }
///
/// let cache = DatabaseConfig::from_url("rediss://cache.internal").credentials(Tokens);
/// ```
pub trait CredentialsProvider: fmt::Debug + Send + Sync + 'static {
    /// The present credentials of a database, by its name.
    ///
    /// # Errors
    ///
    /// The provider cannot tell now. That counts as a failed dial, and the text is shown in errors, so it should hold no
    /// secret. The future may be dropped at any point.
    fn fetch<'a>(&'a self, database: &'a str) -> CredentialsFuture<'a>;
}

/// A password, perhaps with a user name and a time.
///
/// `Debug` shows neither name nor password.
#[derive(Clone, Debug)]
#[must_use]
pub struct Credentials {
    pub(crate) username: Option<SecretString>,
    pub(crate) password: SecretString,
    pub(crate) valid_for: Option<Duration>,
    pub(crate) check_after: Option<Duration>,
}

impl Credentials {
    /// A password for the [user of the configuration](crate::DatabaseConfig::username).
    pub fn new(password: impl Into<String>) -> Self {
        Self {
            username: None,
            password: SecretString::from(password.into()),
            valid_for: None,
            check_after: None,
        }
    }

    /// The user to log in as, instead of that of the configuration.
    pub fn username(mut self, name: impl Into<String>) -> Self {
        self.username = Some(SecretString::from(name.into()));
        self
    }

    /// The time after which they expire, or after which the server ends a connection that has not authenticated again.
    ///
    /// After four fifths of it, but not before 100 ms, the provider is asked again, and open connections authenticate
    /// with what it says. Default: never.
    pub fn valid_for(mut self, time: Duration) -> Self {
        self.valid_for = Some(time);
        self
    }

    /// The time, at least 100 ms, after which the provider is asked whether they have changed. Only then open connections
    /// authenticate again. Default: never.
    pub fn check_after(mut self, time: Duration) -> Self {
        self.check_after = Some(time);
        self
    }

    /// The time after which the provider is to be asked again.
    pub(crate) fn ask_again_after(&self) -> Option<Duration> {
        let expires = self.valid_for.map(|time| time.mul_f64(RENEW_AT));
        expires.into_iter().chain(self.check_after).min()
    }

    /// Whether open connections need not authenticate with these, since they have with the others.
    pub(crate) fn are_like(&self, others: &Self) -> bool {
        let name = |of: &Self| {
            of.username
                .as_ref()
                .map(|name| name.expose_secret().to_owned())
        };
        self.valid_for.is_none()
            && name(self) == name(others)
            && self.password.expose_secret() == others.password.expose_secret()
    }
}

/// The share of their time after which credentials are renewed.
const RENEW_AT: f64 = 0.8;
