//! A real redis-server as a child process that ends with its value.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Child,
    sync::Mutex,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

use super::{
    launch::{Builder, LOG, spawn},
    over_tls,
    ports::free_port,
    version::version,
    wait::poll,
};

/// How long a server may take to start; it usually takes 20 ms.
const START_BOUND: Duration = Duration::from_secs(10);

/// A running redis-server with its own directory, killed and removed on drop.
///
/// All methods take `&self`, so threads may share it. They block, but never
/// for long: `start` and `restart` until the server answers, the rest until the
/// kernel or the server has done it.
pub struct RedisServer {
    pub(super) endpoint: Endpoint,
    pub(super) password: Mutex<Option<String>>,
    settings: Builder,
    tls_port: Option<u16>,
    cluster_port: Option<u16>,
    child: Mutex<Child>,
    // Last, so that it outlives the process that writes into it.
    dir: TempDir,
}

pub(super) enum Endpoint {
    Tcp(u16),
    Unix(PathBuf),
}

impl RedisServer {
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A server with the defaults: a free port, no password, nothing persisted.
    pub fn start() -> Self {
        Self::builder().start()
    }

    pub(super) fn launch(settings: Builder) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let endpoint = if settings.unix {
            Endpoint::Unix(dir.path().join("redis.sock"))
        } else {
            Endpoint::Tcp(settings.port.unwrap_or_else(free_port))
        };
        let has_tls = settings.tls || over_tls::is_on() && !settings.unix;
        let tls_port = has_tls.then(free_port);
        let cluster_port = match &endpoint {
            Endpoint::Tcp(port) if settings.cluster => Some(cluster_port(*port)),
            _ => None,
        };
        let child = spawn(&settings, &endpoint, tls_port, cluster_port, dir.path());
        Self {
            endpoint,
            tls_port,
            cluster_port,
            password: Mutex::new(settings.password.clone()),
            settings,
            child: Mutex::new(child),
            dir,
        }
    }

    /// The port for the tests' own connections.
    ///
    /// # Panics
    ///
    /// When the server listens on a Unix socket.
    pub fn port(&self) -> u16 {
        if let Some(port) = self.tls_port.filter(|_| over_tls::is_on()) {
            return port;
        }
        match self.endpoint {
            Endpoint::Tcp(port) => port,
            Endpoint::Unix(_) => panic!("this server listens on a Unix socket"),
        }
    }

    /// # Panics
    ///
    /// When the server listens on a TCP port.
    pub fn socket_path(&self) -> &Path {
        match &self.endpoint {
            Endpoint::Unix(path) => path,
            Endpoint::Tcp(_) => panic!("this server listens on a TCP port"),
        }
    }

    /// The URL of database 0, with the password if there is one.
    pub fn url(&self) -> String {
        self.url_with_db(0)
    }

    pub fn url_with_db(&self, db: u32) -> String {
        let password = self.password().map(|password| percent_encoded(&password));
        match &self.endpoint {
            Endpoint::Tcp(_) => {
                let user = password.map_or(String::new(), |password| format!(":{password}@"));
                let place = format!("{user}127.0.0.1:{}/{db}", self.port());
                over_tls::url(over_tls::is_on(), &place)
            }
            Endpoint::Unix(path) => {
                let user = password.map_or(String::new(), |password| format!("&pass={password}"));
                format!("redis+unix://{}?db={db}{user}", path.display())
            }
        }
    }

    /// The URL of database 0 for TLS.
    ///
    /// # Panics
    ///
    /// When the server was started without.
    pub fn tls_url(&self) -> String {
        over_tls::url(true, &format!("127.0.0.1:{}/0", self.tls_port()))
    }

    /// # Panics
    ///
    /// When the server was started without TLS.
    pub fn tls_port(&self) -> u16 {
        self.tls_port.expect("a server with TLS")
    }

    /// The port at which the nodes of a cluster talk to it.
    ///
    /// # Panics
    ///
    /// When it is no node of a cluster.
    pub fn cluster_port(&self) -> u16 {
        self.cluster_port.expect("a node of a cluster")
    }

    pub fn pid(&self) -> u32 {
        self.child().id()
    }

    /// The server's directory, where it also writes `dump.rdb`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// SIGKILL. The process is gone, and its sockets with it, on return.
    pub fn kill(&self) {
        let mut child = self.child();
        child.kill().expect("a child that can be killed");
        child.wait().expect("a child that can be reaped");
    }

    /// SIGSTOP: the kernel still accepts and acknowledges, but no command is answered.
    /// The process has stopped on return.
    pub fn freeze(&self) {
        let pid = self.signal(Signal::STOP);
        waitid(
            WaitId::Pid(pid),
            WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT,
        )
        .expect("a child that stops");
    }

    /// SIGCONT, after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Starts it again as it was first started, killing it first if it runs,
    /// and waits until it answers PING.
    pub fn restart(&self) {
        self.restart_without_waiting();
        if let Err(log) = self.wait_answering() {
            panic!("redis-server did not start again; its log ends:\n{log}");
        }
    }

    /// [`restart`](Self::restart) that leaves a loading server loading.
    pub fn restart_without_waiting(&self) {
        self.kill();
        self.password
            .lock()
            .unwrap()
            .clone_from(&self.settings.password);
        *self.child() = spawn(
            &self.settings,
            &self.endpoint,
            self.tls_port,
            self.cluster_port,
            self.dir.path(),
        );
    }

    /// Waits for the port or socket to accept, and says when it first did.
    /// Asks every millisecond.
    pub fn wait_accepting(&self) -> Instant {
        poll(START_BOUND, Duration::from_millis(1), || {
            let connected = match &self.endpoint {
                Endpoint::Tcp(port) => {
                    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
                    TcpStream::connect_timeout(&address, START_BOUND).is_ok()
                }
                Endpoint::Unix(path) => UnixStream::connect(path).is_ok(),
            };
            connected.then(Instant::now)
        })
        .unwrap_or_else(|| panic!("redis-server does not accept:\n{}", self.log_tail()))
    }

    /// Waits until this very process, not another one on its port, answers
    /// PING. The error is the end of its log.
    pub fn wait_answering(&self) -> Result<(), String> {
        let process = format!("process_id:{}\r\n", self.pid());
        poll(START_BOUND, Duration::from_millis(2), || {
            if let Ok(Some(_)) = self.child().try_wait() {
                return Some(Err(self.log_tail()));
            }
            let mut control = self.control().ok()?;
            let pong = control.ask(&["PING"]).ok()?.to_string();
            let info = control.ask(&["INFO", "server"]).ok()?.to_string();
            (pong == "PONG" && info.contains(&process)).then_some(Ok(()))
        })
        .unwrap_or_else(|| Err(self.log_tail()))
    }

    /// The last 20 lines of the server's log.
    pub fn log_tail(&self) -> String {
        let log = fs::read(self.dir.path().join(LOG)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    pub(super) fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn signal(&self, signal: Signal) -> Pid {
        let child = self.child();
        let pid = Pid::from_child(&child);
        kill_process(pid, signal).expect("a child that can be signalled");
        pid
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // SIGKILL ends a stopped process too. Errors: it is gone already.
        let mut child = self.child();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The port for the other nodes of a cluster, beside the one for clients.
fn cluster_port(port: u16) -> u16 {
    if version() >= (7, 0) {
        free_port()
    } else {
        port + 10_000
    }
}

pub(super) fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
