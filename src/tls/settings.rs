//! What a database's configuration says of TLS.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};

/// TLS for the connections of a database.
///
/// A URL that begins with `rediss://` or `valkeys://` switches TLS on with the defaults:
/// - the versions 1.3 and 1.2,
/// - the server's certificate is verified: its chain against the roots that the operating system trusts, and its
///   name against the host of the address,
/// - no certificate of this client is sent.
///
/// Files are read when the configuration is checked, and again for a new connection when they have changed. If the
/// new ones cannot be used, the old ones stay in use, and a warning is logged.
///
/// TLS needs the feature `tls`, which is on by default, or `tls-ring`. The cryptography is that of the feature,
/// whatever the process has installed as the default of rustls.
///
/// ```
/// use redis_steward::{Config, DatabaseConfig, Tls};
///
/// let tls = Tls::new().server_name("cache.internal");
/// let cache = DatabaseConfig::from_url("rediss://10.0.0.7:6380").tls(tls);
/// # #[cfg(feature = "tls")]
/// Config::new().database("cache", cache).check()?;
/// # Ok::<(), redis_steward::ConfigError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Tls {
    /// `None`: as the URL says, or on if anything else is given here.
    pub(crate) enabled: Option<bool>,
    pub(crate) ca: Option<Pem>,
    pub(crate) certificate: Option<Pem>,
    pub(crate) key: Option<Pem>,
    pub(crate) server_name: Option<String>,
    pub(crate) accepts_invalid_certificates: Option<bool>,
}

impl Tls {
    /// TLS, with the defaults.
    pub fn new() -> Self {
        Self {
            enabled: Some(true),
            ..Self::default()
        }
    }

    /// No TLS.
    pub(crate) fn off() -> Self {
        Self {
            enabled: Some(false),
            ..Self::default()
        }
    }

    /// The file with the certificates of the authorities to trust, in PEM form.
    ///
    /// They are trusted instead of those of the operating system. Default: those of the operating system.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca = Some(Pem::File(path.into()));
        self
    }

    /// As [`ca_file`](Self::ca_file), with the certificates themselves.
    pub fn ca_pem(mut self, certificates: impl Into<String>) -> Self {
        self.ca = Some(Pem::text(certificates));
        self
    }

    /// The files with the certificate of this client (followed by those of its issuers, if the server needs them) and
    /// with its private key, in PEM form.
    ///
    /// A server asks for a certificate where its `tls-auth-clients` is on, which is the default of Redis and Valkey.
    /// Default: none is sent.
    pub fn client_certificate_files(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.certificate = Some(Pem::File(certificate.into()));
        self.key = Some(Pem::File(key.into()));
        self
    }

    /// As [`client_certificate_files`](Self::client_certificate_files), with the certificate and the key themselves.
    pub fn client_certificate_pem(
        mut self,
        certificate: impl Into<String>,
        key: impl Into<String>,
    ) -> Self {
        self.certificate = Some(Pem::text(certificate));
        self.key = Some(Pem::text(key));
        self
    }

    /// The name that the certificate of the server has to be for, which is also sent to the server (SNI).
    ///
    /// A host name or an IP address. Set it where connections go to an address or through a tunnel. Default: the
    /// host of the address.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Accepts any certificate of the server: one of another server, of nobody, or an expired one.
    ///
    /// Whoever can intercept the connection can then read and change everything, passwords included. It is for
    /// trials. A warning is logged when the database is opened, and its
    /// [statistics](crate::DatabaseStats::encryption) say so. Default: the certificate is verified.
    pub fn dangerous_accept_invalid_certificates(mut self) -> Self {
        self.accepts_invalid_certificates = Some(true);
        self
    }

    /// Whether any server is taken for the right one.
    pub(crate) fn is_unverified(&self) -> bool {
        self.accepts_invalid_certificates == Some(true)
    }

    /// The files, each with the key of its setting.
    #[cfg(feature = "__tls")]
    pub(super) fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let pems = [
            ("ca_file", &self.ca),
            ("cert_file", &self.certificate),
            ("key_file", &self.key),
        ];
        pems.into_iter()
            .filter_map(|(key, pem)| Some((key, pem.as_ref()?.path()?)))
    }
}

/// Shows neither certificates nor keys that were given as text.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("enabled", &self.enabled)
            .field("ca", &self.ca)
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .field("server_name", &self.server_name)
            .field(
                "accepts_invalid_certificates",
                &self.accepts_invalid_certificates,
            )
            .finish()
    }
}

/// Certificates or a private key in PEM form.
#[derive(Clone)]
pub(crate) enum Pem {
    File(PathBuf),
    Text(SecretString),
}

impl Pem {
    fn text(text: impl Into<String>) -> Self {
        Self::Text(SecretString::from(text.into()))
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Text(_) => None,
        }
    }
}

impl PartialEq for Pem {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Text(one), Self::Text(other)) => one.expose_secret() == other.expose_secret(),
            _ => false,
        }
    }
}

impl Eq for Pem {}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Text(_) => f.write_str("***"),
        }
    }
}
