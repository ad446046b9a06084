//! The same tests over TLS: with `REDIS_TESTS_OVER_TLS` set, every real server listens on a port for TLS as well, and the
//! URLs of the fixtures lead there. The fixtures themselves ask the server without it.

use std::{
    collections::HashSet,
    sync::{Mutex, OnceLock, PoisonError},
};

use super::certificates::{Authority, Files};

struct Site {
    authority: Authority,
    server: Files,
}

static PORTS: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

fn site() -> &'static Site {
    static SITE: OnceLock<Site> = OnceLock::new();
    SITE.get_or_init(|| {
        let authority = Authority::new();
        let server = authority.issue("server", &["127.0.0.1", "localhost"]);
        Site { authority, server }
    })
}

pub fn is_on() -> bool {
    std::env::var_os("REDIS_TESTS_OVER_TLS").is_some()
}

/// What tells a server to listen on this port for TLS.
pub fn arguments(port: u16) -> Vec<(String, String)> {
    let mut ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    ports.get_or_insert_default().insert(port);
    let site = site();
    let files = [
        ("tls-cert-file", &site.server.certificate),
        ("tls-key-file", &site.server.key),
        ("tls-ca-cert-file", &site.authority.file()),
    ]
    .map(|(key, path)| (key.to_owned(), path.display().to_string()));
    let port = [
        ("tls-port".into(), port.to_string()),
        ("tls-auth-clients".into(), "no".into()),
    ];
    files.into_iter().chain(port).collect()
}

/// Whether what listens there is for TLS.
pub fn is_tls(port: u16) -> bool {
    let ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    ports.as_ref().is_some_and(|ports| ports.contains(&port))
}

/// The authority that has signed the certificates of servers.
pub fn ca_file() -> std::path::PathBuf {
    site().authority.file()
}

/// The URL of a place, with what it needs for TLS.
pub fn url(is_tls: bool, place: &str) -> String {
    if !is_tls {
        return format!("redis://{place}");
    }
    let ca = site().authority.file();
    format!("rediss://{place}?ca_file={}", ca.display())
}
