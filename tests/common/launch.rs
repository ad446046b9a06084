//! How a [`RedisServer`] is started.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::{
    over_tls,
    server::{Endpoint, RedisServer},
    version::{self, version},
};

/// How to start a [`RedisServer`].
#[derive(Clone, Default)]
#[must_use]
pub struct Builder {
    pub(super) port: Option<u16>,
    pub(super) unix: bool,
    pub(super) tls: bool,
    pub(super) cluster: bool,
    pub(super) password: Option<String>,
    args: Vec<(String, String)>,
}

impl Builder {
    /// Listens on this port of 127.0.0.1 instead of a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Listens on a Unix socket that only this user can open, and on no port.
    pub fn unix(mut self) -> Self {
        self.unix = true;
        self
    }

    /// Listens on a port for TLS as well; `tls_url` leads there.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Starts it as a node of a cluster, which knows no other node and serves no slot yet.
    pub fn cluster(mut self) -> Self {
        self.cluster = true;
        self
    }

    /// Asks clients for this password; `url` and `cli` know it.
    pub fn requirepass(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Passes `--key value`, in place of the fixture's own value for that key.
    pub fn arg(mut self, key: &str, value: &str) -> Self {
        self.args.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Starts the server and waits until it answers PING.
    ///
    /// # Panics
    ///
    /// When it does not start within 10 s, with the end of its log.
    pub fn start(self) -> RedisServer {
        for _ in 0..10 {
            let server = self.clone().start_without_waiting();
            match server.wait_answering() {
                Ok(()) => return server,
                // Another process took the port in between: try the next one.
                Err(log) if self.port.is_none() && log.contains("Address already in use") => {}
                Err(log) => panic!("redis-server did not start; its log ends:\n{log}"),
            }
        }
        panic!("redis-server found no free port in 10 attempts");
    }

    /// Starts the process only; it may still be loading, or about to fail.
    pub fn start_without_waiting(self) -> RedisServer {
        RedisServer::launch(self)
    }
}

pub(super) const LOG: &str = "redis.log";

pub(super) fn spawn(
    settings: &Builder,
    endpoint: &Endpoint,
    tls_port: Option<u16>,
    cluster_port: Option<u16>,
    dir: &Path,
) -> Child {
    let own = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let mut args = vec![
        own("dir", &dir.to_string_lossy()),
        own("logfile", LOG),
        own("save", ""),
        own("appendonly", "no"),
        own("daemonize", "no"),
    ];
    // Before 7.0 there is no such setting, and everyone may use DEBUG.
    if version() >= (7, 0) {
        args.push(own("enable-debug-command", "local"));
    }
    match endpoint {
        Endpoint::Tcp(port) => {
            args.push(own("bind", "127.0.0.1"));
            args.push(own("port", &port.to_string()));
        }
        Endpoint::Unix(path) => {
            args.push(own("port", "0"));
            args.push(own("unixsocket", &path.to_string_lossy()));
            args.push(own("unixsocketperm", "700"));
        }
    }
    args.extend(tls_port.into_iter().flat_map(over_tls::arguments));
    if let Some(port) = cluster_port {
        args.push(own("cluster-enabled", "yes"));
        args.push(own("cluster-config-file", "nodes.conf"));
        // Before 7.0 it is always 10,000 above the other.
        if version() >= (7, 0) {
            args.push(own("cluster-port", &port.to_string()));
        }
    }
    args.extend(
        settings
            .password
            .iter()
            .map(|password| own("requirepass", password)),
    );
    args.retain(|(key, _)| settings.args.iter().all(|(other, _)| other != key));
    args.extend(settings.args.iter().cloned());

    // Output before the server opens its log goes to the same file.
    let log = File::options()
        .create(true)
        .append(true)
        .open(dir.join(LOG))
        .expect("a log file");
    let program = version::program();
    Command::new(&program)
        .args(
            args.into_iter()
                .flat_map(|(key, value)| [format!("--{key}"), value]),
        )
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle to the log file"))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{program:?} cannot be run ({error}); scripts/test installs it")
        })
}
