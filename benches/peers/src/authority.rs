//! The authority that a run makes for itself: what the server shows, and by what the clients verify it.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

use crate::{folder::Folder, program::Programs};

const CERTIFICATE: &str = "authority.pem";
const SERVER_CERTIFICATE: &str = "server.pem";
const SERVER_KEY: &str = "server.key";

/// It has issued a certificate for 127.0.0.1, and its files go with it.
pub struct Authority {
    folder: Arc<Folder>,
    pem: String,
    /// What clients of rustls are set up with that take its own configuration.
    client: ClientConfig,
}

impl Authority {
    /// Makes one, and sees to it that clients which ask rustls for the cryptography of the process get that of aws-lc,
    /// which redis-steward uses as well.
    pub fn new(programs: &Programs) -> Result<Self> {
        let folder = programs
            .folder()
            .context("making a folder for certificates")?;
        let issuer = issuer()?;
        issue(&issuer, folder.path()).context("making a certificate for the server")?;
        fs::write(folder.path().join(CERTIFICATE), issuer.pem())?;

        // An error: another authority has done so.
        let _ = aws_lc_rs::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone())?;
        let client = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            folder,
            pem: issuer.pem(),
            client,
        })
    }

    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join(CERTIFICATE)
    }

    pub fn client(&self) -> ClientConfig {
        self.client.clone()
    }

    pub fn server_files(&self) -> [PathBuf; 2] {
        [SERVER_CERTIFICATE, SERVER_KEY].map(|name| self.folder.path().join(name))
    }
}

fn issuer() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = "redis-steward-peers";
    params.distinguished_name.push(DnType::CommonName, name);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?);
    issuer.context("making a certificate for the authority")
}

fn issue(issuer: &CertifiedIssuer<'static, KeyPair>, folder: &Path) -> Result<()> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    fs::write(folder.join(SERVER_CERTIFICATE), certificate.pem())?;
    fs::write(folder.join(SERVER_KEY), key.serialize_pem())?;
    Ok(())
}
