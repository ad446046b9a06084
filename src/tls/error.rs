//! Why TLS fails.

use std::{fmt, io};

/// Why a connection cannot use TLS. The names in a certificate were chosen by the peer, so texts are made printable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(
    not(feature = "__tls"),
    expect(dead_code, reason = "without TLS it is only missed")
)]
pub(crate) enum TlsError {
    #[error("the server's certificate is not accepted: {0}")]
    Untrusted(String),
    /// The server asks for a certificate, or does not like the one that it got.
    #[error(
        "the server does not accept this client without another certificate (TLS alert: {0}); see the setting tls.cert_file"
    )]
    Refused(String),
    #[error("the peer does not speak TLS; this may be a port for plain connections")]
    NotTls,
    /// The settings do not ask for TLS.
    #[error("the peer expects TLS; begin the URL with rediss://, or set tls.enabled")]
    Wanted,
    /// A server cannot even say why.
    #[error(
        "the server closed the connection while negotiating TLS, as one does that has reached its limit of clients"
    )]
    Closed,
    #[error("TLS with the server fails: {0}")]
    Failed(String),
    /// Nothing was sent.
    #[error("TLS cannot be used: {0}")]
    Unusable(Unusable),
}

impl TlsError {
    /// The one within an error of a transport.
    pub(crate) fn within(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// What is wrong with the settings or their files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    /// The setting within `tls`; `None` for the whole.
    pub(crate) part: Option<&'static str>,
    pub(crate) message: String,
}

impl Unusable {
    pub(super) fn new(part: impl Into<Option<&'static str>>, message: impl Into<String>) -> Self {
        Self {
            part: part.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Some(part) => write!(f, "tls.{part} {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}
