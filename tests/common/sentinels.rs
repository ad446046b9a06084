//! A service of Redis Sentinel: a primary, two replicas and three sentinels, each a process of its own.
//!
//! Sentinels and replicas log in to the servers as a user of their own, and clients with a password. So a server can be
//! cut off from the others, and not from clients, by taking that user away.

use std::{
    fs,
    io::{BufReader, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Condvar, Mutex},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{
    RedisServer, over_tls,
    ports::free_port,
    resp::{self, Reply},
    version,
    wait::eventually,
};

/// The name of the service.
pub const SERVICE: &str = "main";

/// The password of clients at the servers.
const PASSWORD: &str = "app";

/// Milliseconds after which a silent server counts as dead. With less, a busy machine sees failovers that nobody wants.
const DOWN_AFTER: u32 = 2_000;

/// Sentinels publish themselves every 2 s.
const START_BOUND: Duration = Duration::from_secs(60);
const BOUND: Duration = Duration::from_secs(10);

/// The processes of a service. They are killed on drop.
pub struct Sentinels {
    /// The first is the primary at the start.
    pub servers: Vec<RedisServer>,
    pub sentinels: Vec<Sentinel>,
    password: Option<String>,
    _turn: Turn,
}

impl Sentinels {
    pub fn start() -> Self {
        Self::with_password(None)
    }

    /// Sentinels that ask clients, and each other, for a password.
    pub fn with_password(password: Option<&str>) -> Self {
        let turn = Turn::take();
        let server = |_| {
            let server = RedisServer::builder()
                .requirepass(PASSWORD)
                .arg("repl-diskless-sync-delay", "0")
                .arg("masteruser", "peer")
                .arg("masterauth", "peer")
                .start();
            admit_peers(&server);
            server
        };
        let servers: Vec<_> = (0..3).map(server).collect();
        let mut site = Self {
            servers,
            sentinels: Vec::new(),
            password: password.map(str::to_owned),
            _turn: turn,
        };
        let primary = site.servers[0].port().to_string();
        for replica in &site.servers[1..] {
            assert_eq!(replica.cli(&["REPLICAOF", "127.0.0.1", &primary]), "OK");
        }
        site.until_replicated();
        for _ in 0..3 {
            site.add_sentinel();
        }
        site.until_agreed();
        site
    }

    /// Adds a sentinel that knows where the primary is now.
    pub fn add_sentinel(&mut self) {
        let primary = match self.sentinels.first() {
            Some(sentinel) => sentinel.primary().expect("a primary"),
            None => self.servers[0].port(),
        };
        let sentinel = Sentinel::start(primary, self.password.clone(), None);
        self.sentinels.push(sentinel);
    }

    /// Waits until every sentinel knows all others and the replicas.
    pub fn until_agreed(&self) {
        let others = (self.sentinels.len() - 1).to_string();
        let agree = || {
            self.sentinels.iter().all(|sentinel| {
                let field = |name: &str| sentinel.field(name);
                field("num-other-sentinels").as_deref() == Some(&*others)
                    && field("num-slaves").as_deref() == Some("2")
                    && field("flags").as_deref() == Some("master")
            })
        };
        eventually(START_BOUND, "the sentinels agree", agree);
    }

    /// Waits until both replicas have all that the primary has.
    pub fn until_replicated(&self) {
        let primary = self.servers.iter().find(|server| is_primary(server));
        let primary = primary.expect("a primary");
        let are_up = || {
            let info = primary.info("replication");
            let replica = |name| {
                let offset = format!("offset={}", info["master_repl_offset"]);
                info.get(name).is_some_and(|replica: &String| {
                    replica.contains("state=online") && replica.contains(&offset)
                })
            };
            replica("slave0") && replica("slave1")
        };
        eventually(START_BOUND, "the replicas follow", are_up);
    }

    /// The URL of database 0 of the service.
    pub fn url(&self) -> String {
        let ports = self.sentinels.iter().map(|sentinel| sentinel.port);
        Self::url_of(ports, SERVICE)
    }

    pub fn url_of(ports: impl IntoIterator<Item = u16>, service: &str) -> String {
        let hosts = ports.into_iter().map(|port| format!("127.0.0.1:{port}"));
        let hosts: Vec<_> = hosts.collect();
        format!("redis+sentinel://:{PASSWORD}@{}/{service}", hosts.join(","))
    }

    /// Orders a failover.
    pub fn fail_over(&self) {
        let reply = || self.sentinels[0].cli(&["SENTINEL", "FAILOVER", SERVICE]);
        // It finds no replica while it has not asked them for their state.
        eventually(BOUND, "a failover begins", || reply() == "OK");
    }

    /// The server at this port.
    pub fn server(&self, port: u16) -> &RedisServer {
        let mut servers = self.servers.iter();
        servers
            .find(|server| server.port() == port)
            .expect("one of the servers")
    }

    /// The server that the sentinels name, once they agree on one that is another than this.
    pub fn primary_after(&self, old: u16) -> &RedisServer {
        let present = || {
            let mut told = self.sentinels.iter().filter_map(Sentinel::primary);
            let first = told.next()?;
            (first != old && told.all(|other| other == first)).then_some(first)
        };
        eventually(START_BOUND, "another primary", || present().is_some());
        self.server(present().expect("they go on agreeing"))
    }
}

/// The right to run a service. On a busy machine sentinels take each other for dead, and do not agree.
struct Turn(());

/// The services that run now.
static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();
const MOST_AT_ONCE: usize = 4;

impl Turn {
    fn take() -> Self {
        let running = RUNNING.lock().unwrap();
        let is_full = |running: &mut usize| *running >= MOST_AT_ONCE;
        *ENDED.wait_while(running, is_full).unwrap() += 1;
        Self(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap() -= 1;
        ENDED.notify_one();
    }
}

/// Cuts a server off from sentinels and replicas, and from nobody else.
pub fn cut_off(server: &RedisServer) {
    assert_eq!(server.cli(&["ACL", "SETUSER", "peer", "off"]), "OK");
    server.cli(&["CLIENT", "KILL", "USER", "peer"]);
}

/// Lets sentinels and replicas in.
pub fn admit_peers(server: &RedisServer) {
    let peer = ["ACL", "SETUSER", "peer", "on", ">peer", "~*", "&*", "+@all"];
    assert_eq!(server.cli(&peer), "OK");
}

/// Whether it says so. A sentinel that demotes a server also has it drop its clients, this one included.
pub fn is_primary(server: &RedisServer) -> bool {
    match server.try_command(&["ROLE"]) {
        Ok(Reply::Array(role)) => role
            .first()
            .is_some_and(|role| role.to_string() == "master"),
        _ => false,
    }
}

/// A sentinel with its own directory, killed and removed on drop.
pub struct Sentinel {
    pub port: u16,
    tls_port: Option<u16>,
    password: Option<String>,
    child: Mutex<Child>,
    dir: TempDir,
}

impl Sentinel {
    /// One that listens on a port for TLS as well, and reaches the primary by TLS.
    pub fn over_tls(primary: &RedisServer) -> Self {
        admit_peers(primary);
        let sentinel = Self::start(primary.tls_port(), None, Some(free_port()));
        let knows = || sentinel.field("role-reported").as_deref() == Some("master");
        eventually(START_BOUND, "it knows the primary", knows);
        sentinel
    }

    fn start(primary: u16, password: Option<String>, tls_port: Option<u16>) -> Self {
        let port = free_port();
        let dir = TempDir::new().expect("a temporary directory");
        let access = password.as_ref().map_or(String::new(), |password| {
            format!("requirepass {password}\nsentinel sentinel-pass {password}\n")
        });
        let tls = tls_port.into_iter().flat_map(over_tls::arguments);
        let tls: String = tls.map(|(key, value)| format!("{key} {value}\n")).collect();
        let tls = tls_port.map_or(String::new(), |_| format!("{tls}tls-replication yes\n"));
        let config = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nlogfile sentinel.log\n\
             sentinel monitor {SERVICE} 127.0.0.1 {primary} 2\n\
             sentinel auth-user {SERVICE} peer\nsentinel auth-pass {SERVICE} peer\n\
             sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER}\n\
             sentinel failover-timeout {SERVICE} 5000\n{access}{tls}",
            dir.path().display()
        );
        fs::write(dir.path().join("sentinel.conf"), config).expect("a configuration");
        let sentinel = Self {
            port,
            tls_port,
            password,
            child: Mutex::new(spawn(&dir.path().join("sentinel.conf"))),
            dir,
        };
        sentinel.until_answering();
        sentinel
    }

    fn until_answering(&self) {
        eventually(START_BOUND, "the sentinel answers", || {
            self.try_command(&["PING"]).is_some()
        });
    }

    /// The URL of the service for TLS, with the certificate of the authority.
    pub fn tls_url(&self) -> String {
        let port = self.tls_port.expect("a sentinel with TLS");
        let url = over_tls::url(true, &format!("127.0.0.1:{port}/{SERVICE}"));
        url.replacen("rediss", "rediss+sentinel", 1)
    }

    /// SIGKILL.
    pub fn kill(&self) {
        let mut child = self.child.lock().unwrap();
        child.kill().expect("a child that can be killed");
        child.wait().expect("a child that can be reaped");
    }

    /// Starts it again with what it knew.
    pub fn restart(&self) {
        *self.child.lock().unwrap() = spawn(&self.dir.path().join("sentinel.conf"));
        self.until_answering();
    }

    /// SIGSTOP: it accepts connections and answers nothing.
    pub fn freeze(&self) {
        let pid = Pid::from_child(&self.child.lock().unwrap());
        kill_process(pid, Signal::STOP).expect("a child that can be signalled");
    }

    pub fn cli(&self, args: &[&str]) -> String {
        let reply = self.try_command(args).expect("a sentinel that answers");
        reply.to_string()
    }

    /// The port of the primary that it names.
    pub fn primary(&self) -> Option<u16> {
        let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE];
        match self.try_command(&question)? {
            Reply::Array(parts) => parts.get(1)?.to_string().parse().ok(),
            _ => None,
        }
    }

    /// What it knows of the primary.
    pub fn field(&self, name: &str) -> Option<String> {
        let Reply::Array(parts) = self.try_command(&["SENTINEL", "MASTER", SERVICE])? else {
            return None;
        };
        let at = parts.iter().position(|part| part.to_string() == name)?;
        parts.get(at + 1).map(ToString::to_string)
    }

    /// Whether a client is subscribed to two channels, which no other sentinel is.
    pub fn is_heard(&self) -> bool {
        self.cli(&["CLIENT", "LIST"]).contains(" sub=2 ")
    }

    fn try_command(&self, args: &[&str]) -> Option<Reply> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(BOUND)).ok()?;
        let mut answers = BufReader::new(stream.try_clone().ok()?);
        if let Some(password) = &self.password {
            stream.write_all(&resp::encode(&["AUTH", password])).ok()?;
            resp::read_reply(&mut answers).ok()?;
        }
        stream.write_all(&resp::encode(args)).ok()?;
        resp::read_reply(&mut answers).ok()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read(self.dir.path().join("sentinel.log")).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<_> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(20)..];
            eprintln!("the log of a sentinel ends:\n{}", tail.join("\n"));
        }
        let child = self
            .child
            .get_mut()
            .unwrap_or_else(|error| error.into_inner());
        // Errors: it is gone already.
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn spawn(config: &PathBuf) -> Child {
    Command::new(version::program())
        .arg(config)
        .arg("--sentinel")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a sentinel")
}
