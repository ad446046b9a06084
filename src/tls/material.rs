//! Certificates and private keys, read from their PEM forms.

use std::fmt::Display;

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use secrecy::ExposeSecret;

use super::{Pem, Unusable};

/// At least one.
pub(super) fn certificates(
    part: &'static str,
    pem: &Pem,
) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let read: Result<Vec<_>, _> = match pem {
        Pem::File(path) => CertificateDer::pem_file_iter(path).and_then(Iterator::collect),
        Pem::Text(text) => {
            CertificateDer::pem_slice_iter(text.expose_secret().as_bytes()).collect()
        }
    };
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err(problem(part, pem, &"it holds no certificate in PEM form"))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(problem(part, pem, &reason(&error))),
    }
}

pub(super) fn private_key(
    part: &'static str,
    pem: &Pem,
) -> Result<PrivateKeyDer<'static>, Unusable> {
    let read = match pem {
        Pem::File(path) => PrivateKeyDer::from_pem_file(path),
        Pem::Text(text) => PrivateKeyDer::from_pem_slice(text.expose_secret().as_bytes()),
    };
    read.map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let message = "it holds no private key in PEM form, or an encrypted one";
            problem(part, pem, &message)
        }
        error => problem(part, pem, &reason(&error)),
    })
}

/// A setting that cannot be used, with its file.
pub(super) fn problem(part: &'static str, pem: &Pem, reason: &dyn Display) -> Unusable {
    let message = match pem.path() {
        Some(path) => format!("names {}, which cannot be used: {reason}", path.display()),
        None => format!("cannot be used: {reason}"),
    };
    Unusable::new(part, message)
}

/// Without pieces of the file, which may be a private key.
fn reason(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::MissingSectionEnd { .. } => "a section in it has no end".into(),
        pem::Error::IllegalSectionStart { .. } => "a section in it begins wrongly".into(),
        pem::Error::Base64Decode(_) => "a section in it is not base64".into(),
        _ => "it is not in PEM form".into(),
    }
}
