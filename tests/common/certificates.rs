//! Certificates that a test makes.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType, date_time_ymd,
};
use tempfile::TempDir;

/// An authority, and the directory with the files of what it has issued.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

/// A certificate and its key, as files.
#[derive(Clone, Debug)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Certificates are told apart by the names of their issuers.
        let name = format!("authority {:016x}", fastrand::u64(..));
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let dir = TempDir::new().expect("a directory");
        fs::write(dir.path().join("ca.pem"), issuer.pem()).expect("a file");
        Self { issuer, dir }
    }

    pub fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for these names, as `name.pem` and `name.key`.
    pub fn issue(&self, name: &str, names: &[&str]) -> Files {
        self.issue_until(name, names, None)
    }

    /// One that ended in 2001.
    pub fn issue_expired(&self, name: &str) -> Files {
        self.issue_until(name, &["127.0.0.1"], Some(2001))
    }

    fn issue_until(&self, name: &str, names: &[&str], year: Option<i32>) -> Files {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.subject_alt_names = names.iter().map(|name| alternative(name)).collect();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.distinguished_name.push(DnType::CommonName, name);
        if let Some(year) = year {
            params.not_before = date_time_ymd(year - 1, 1, 1);
            params.not_after = date_time_ymd(year, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        write(
            self.dir.path(),
            name,
            &certificate.pem(),
            &key.serialize_pem(),
        )
    }

    /// A certificate that nobody has issued.
    pub fn self_signed(&self, name: &str) -> Files {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.subject_alt_names = vec![alternative("127.0.0.1")];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        write(
            self.dir.path(),
            name,
            &certificate.pem(),
            &key.serialize_pem(),
        )
    }
}

fn alternative(name: &str) -> SanType {
    match name.parse::<Ipv4Addr>() {
        Ok(address) => SanType::IpAddress(IpAddr::V4(address)),
        Err(_) => SanType::DnsName(name.try_into().expect("a host name")),
    }
}

fn write(dir: &Path, name: &str, certificate: &str, key: &str) -> Files {
    let files = Files {
        certificate: dir.join(format!("{name}.pem")),
        key: dir.join(format!("{name}.key")),
    };
    fs::write(&files.certificate, certificate).expect("a file");
    fs::write(&files.key, key).expect("a file");
    files
}

/// Puts the contents of other files in their place, by new files as tools do that renew certificates.
pub fn replace(old: &Files, new: &Files) {
    for (old, new) in [(&old.certificate, &new.certificate), (&old.key, &new.key)] {
        replace_file(old, &fs::read(new).expect("a file"));
    }
}

pub fn replace_file(path: &Path, contents: &[u8]) {
    let next = path.with_extension("next");
    fs::write(&next, contents).expect("a file");
    fs::rename(&next, path).expect("a new file");
}
