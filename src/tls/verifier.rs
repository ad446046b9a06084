//! What a server's certificate is held against.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::{
    DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use rustls_platform_verifier::Verifier;

use super::{Tls, Unusable, material};

/// The verifier that the settings ask for.
pub(super) fn verifier(
    tls: &Tls,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Unusable> {
    if tls.is_unverified() {
        return Ok(Arc::new(AcceptsAny(provider.clone())));
    }
    let Some(ca) = &tls.ca else {
        return system(provider);
    };
    let mut roots = RootCertStore::empty();
    for certificate in material::certificates("ca_file", ca)? {
        let added = roots.add(certificate);
        added.map_err(|error| material::problem("ca_file", ca, &error))?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
    let verifier = verifier
        .build()
        .map_err(|error| material::problem("ca_file", ca, &error))?;
    Ok(verifier)
}

/// The roots of the operating system, which all databases share that use them at the same time.
fn system(provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, Unusable> {
    static SYSTEM: Mutex<Weak<Verifier>> = Mutex::new(Weak::new());
    let mut shared = SYSTEM.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(system) = shared.upgrade() {
        return Ok(system);
    }
    let system = Verifier::new(provider.clone()).map_err(|error| {
        let message =
            format!("finds no authority that this system trusts: {error}; set tls.ca_file");
        Unusable::new(None, message)
    })?;
    let system = Arc::new(system);
    *shared = Arc::downgrade(&system);
    Ok(system)
}

/// Accepts every certificate, and so every server. That the peer has its key is still checked.
#[derive(Debug)]
struct AcceptsAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptsAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
