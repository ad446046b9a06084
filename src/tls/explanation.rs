//! What an error of rustls means for a database.

use rustls::{AlertDescription, CertificateError, Error};

use super::TlsError;

impl From<Error> for TlsError {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidCertificate(error) => Self::Untrusted(of(&error)),
            Error::AlertReceived(alert) if is_about_this_client(alert) => {
                Self::Refused(format!("{alert:?}"))
            }
            Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => Self::NotTls,
            error => Self::Failed(printable(&error.to_string())),
        }
    }
}

fn of(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet; compare the clocks".into()
        }
        CertificateError::Revoked => "it was revoked".into(),
        CertificateError::UnknownIssuer => {
            "its issuer is not known; name the file of its authority with the setting tls.ca_file".into()
        }
        CertificateError::BadSignature => {
            "it was not signed by the authority that it names".into()
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let expected = expected.to_str();
            let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
            let names = printable(&names.join(", "));
            format!("it is for {names}, and not for {expected}; see the setting tls.server_name")
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is the certificate of an authority, which no server may use; have the authority issue one for the \
             server"
                .into()
        }
        other => printable(&other.to_string()),
    }
}

/// The name in a text such as `DnsName("server.internal")`.
fn bare(presented: &str) -> &str {
    let inner = presented
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(presented).trim_matches('"')
}

/// The beginning of a text of the peer's, without control characters.
fn printable(text: &str) -> String {
    text.chars()
        .take(256)
        .flat_map(char::escape_debug)
        .collect()
}

/// The alerts by which servers refuse a client's certificate, or that there is none (RFC 8446 section 6.2). A
/// server with TLS 1.2 says `handshake_failure` for the latter.
fn is_about_this_client(alert: AlertDescription) -> bool {
    use AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked,
        CertificateUnknown, UnknownCA, UnsupportedCertificate,
    };
    matches!(
        alert,
        AccessDenied
            | BadCertificate
            | CertificateExpired
            | CertificateRequired
            | CertificateRevoked
            | CertificateUnknown
            | UnknownCA
            | UnsupportedCertificate
    )
}
