//! A real server with TLS, and its certificates.

use std::{path::Path, time::Duration};

use redis::cmd;
use redis_steward::{Database, DatabaseConfig, Error, Supervisor, Tls};

use crate::common::{
    RedisServer,
    certificates::{Authority, Files},
    launch::Builder,
    ports::free_port,
    spawn,
};

pub(crate) struct Site {
    pub(crate) authority: Authority,
    pub(crate) server: RedisServer,
    /// The port for TLS.
    pub(crate) port: u16,
    /// What the server shows.
    pub(crate) files: Files,
}

impl Site {
    /// A server with a good certificate that asks its clients for none.
    pub(crate) fn new() -> Self {
        let authority = Authority::new();
        let files = authority.issue("server", &["127.0.0.1", "localhost"]);
        Self::with(authority, files, without_client_certificates)
    }

    /// A server with this certificate.
    pub(crate) fn with(
        authority: Authority,
        files: Files,
        adjust: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let port = free_port();
        let text = |path: &Path| path.display().to_string();
        let server = RedisServer::builder()
            .arg("tls-port", &port.to_string())
            .arg("tls-cert-file", &text(&files.certificate))
            .arg("tls-key-file", &text(&files.key))
            .arg("tls-ca-cert-file", &text(&authority.file()));
        Self {
            server: adjust(server).start(),
            authority,
            port,
            files,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.port)
    }

    /// Trusts the authority.
    pub(crate) fn tls(&self) -> Tls {
        Tls::new().ca_file(self.authority.file())
    }

    pub(crate) fn database(&self) -> DatabaseConfig {
        DatabaseConfig::from_url(self.url()).tls(self.tls())
    }
}

pub(crate) fn without_client_certificates(server: Builder) -> Builder {
    server.arg("tls-auth-clients", "no")
}

/// A database whose circuit does not stand in the way, and its supervisor.
pub(crate) async fn open(database: DatabaseConfig) -> (Supervisor, Database) {
    spawn(database.connect_timeout(Duration::from_secs(2))).await
}

pub(crate) async fn echo(main: &Database) -> Result<String, Error> {
    main.query(cmd("ECHO").arg("hello")).await
}
