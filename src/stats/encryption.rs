//! Whether connections are encrypted.

use std::fmt;

use crate::tls::TlsClient;

/// Whether the connections of a database are encrypted, by its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Encryption {
    /// They are not.
    Off,
    /// With TLS, and the server's certificate is verified.
    Verified,
    /// With TLS, but any certificate is accepted, so that anybody can pass for the server. See
    /// [`Tls::dangerous_accept_invalid_certificates`](crate::Tls::dangerous_accept_invalid_certificates).
    Unverified,
}

impl Encryption {
    pub(crate) fn of(tls: Option<&TlsClient>) -> Self {
        match tls {
            None => Self::Off,
            Some(tls) if tls.settings().is_unverified() => Self::Unverified,
            Some(_) => Self::Verified,
        }
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "no TLS",
            Self::Verified => "TLS",
            Self::Unverified => "TLS WITHOUT VERIFICATION of the server",
        })
    }
}
