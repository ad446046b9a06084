//! Sessions of a database's connections.

use std::{
    fmt, fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use rustls::{
    ClientConfig, ClientConnection,
    crypto::CryptoProvider,
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use tokio::task::spawn_blocking;

use super::{Tls, TlsError, Unusable, material, verifier::verifier};

/// What the connections of a database have in common: certificates, what is trusted, and the tickets by which a server
/// takes up an earlier session.
#[derive(Clone)]
pub(crate) struct TlsClient(Arc<Shared>);

struct Shared {
    tls: Tls,
    present: Mutex<Present>,
}

struct Present {
    config: Arc<ClientConfig>,
    /// The files at the last look. They are looked at before they are read, so that no change is missed.
    stamps: Vec<Stamp>,
    /// Why the files as they are now are not in use. It was not told yet.
    complaint: Option<String>,
}

/// Tells one version of a file from the next; `None` for a file that cannot be looked at.
type Stamp = Option<(SystemTime, u64, u64)>;

impl TlsClient {
    /// Reads the files.
    pub(crate) fn open(tls: &Tls) -> Result<Self, Unusable> {
        let stamps = stamps(tls);
        let present = Present {
            config: Arc::new(config(tls)?),
            stamps,
            complaint: None,
        };
        Ok(Self(Arc::new(Shared {
            tls: tls.clone(),
            present: Mutex::new(present),
        })))
    }

    pub(crate) fn settings(&self) -> &Tls {
        &self.0.tls
    }

    /// A session for a connection to this host, with the files as they are now.
    pub(crate) async fn session(&self, host: &str) -> Result<ClientConnection, TlsError> {
        let config = if self.0.tls.files().next().is_some() {
            let shared = self.0.clone();
            // A file system may take its time.
            let looked = spawn_blocking(move || shared.look_at_files()).await;
            looked.map_err(|error| TlsError::Failed(error.to_string()))?
        } else {
            self.0.lock().config.clone()
        };
        let name = self.0.tls.server_name.as_deref().unwrap_or(host);
        let name = server_name(name).map_err(TlsError::Unusable)?;
        Ok(ClientConnection::new(config, name)?)
    }

    /// Why changed files are not in use, once per change.
    pub(crate) fn take_complaint(&self) -> Option<String> {
        self.0.lock().complaint.take()
    }
}

impl Shared {
    /// Reads the files again if they have changed. Without a readable and fitting whole the former one stays.
    fn look_at_files(&self) -> Arc<ClientConfig> {
        let stamps = stamps(&self.tls);
        {
            let present = self.lock();
            if present.stamps == stamps {
                return present.config.clone();
            }
        }
        // Without the lock, since a file system may hang.
        let read = config(&self.tls);
        let mut present = self.lock();
        present.stamps = stamps;
        match read {
            Ok(config) => {
                present.config = Arc::new(config);
                present.complaint = None;
            }
            Err(error) => present.complaint = Some(error.to_string()),
        }
        present.config.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.tls.fmt(f)
    }
}

fn stamps(tls: &Tls) -> Vec<Stamp> {
    tls.files().map(|(_, path)| stamp(path)).collect()
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), inode(&metadata)))
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

fn config(tls: &Tls) -> Result<ClientConfig, Unusable> {
    let whole = |error: rustls::Error| Unusable::new(None, error.to_string());
    if let Some(name) = &tls.server_name {
        server_name(name)?;
    }
    let provider = provider();
    let verifier = verifier(tls, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(whole)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => {
            let chain = material::certificates("cert_file", certificate)?;
            let secret = material::private_key("key_file", key)?;
            let config = builder.with_client_auth_cert(chain, secret);
            config.map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    material::problem("key_file", key, &"the key is not that of the certificate")
                }
                error => material::problem("key_file", key, &error),
            })
        }
        (Some(_), None) => Err(Unusable::new("cert_file", "stands without tls.key_file")),
        (None, Some(_)) => Err(Unusable::new("key_file", "stands without tls.cert_file")),
        (None, None) => Ok(builder.with_no_client_auth()),
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, Unusable> {
    let read = ServerName::try_from(name.to_owned());
    read.map_err(|_| Unusable::new("server_name", "is neither a host name nor an IP address"))
}

/// Never that of the process, which may have none.
fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "tls")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "tls"))]
    let provider = rustls::crypto::ring::default_provider();
    Arc::new(provider)
}
