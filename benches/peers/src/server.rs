//! A redis-server of the run's own, which ends with it.

use std::{
    ffi::OsString,
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;

use crate::{
    address::Address,
    authority::Authority,
    folder::Folder,
    program::{Program, Programs},
};

const START_WITHIN: Duration = Duration::from_secs(5);
/// How exactly it is known when the server answers.
const POLL: Duration = Duration::from_millis(1);
/// A server that says nothing for so long, on this machine and without load, is frozen.
const SILENCE: Duration = Duration::from_millis(200);
/// Another program can take the port between our finding it free and the server's binding it.
const ATTEMPTS: usize = 3;

pub struct Server {
    pub port: u16,
    /// Where those that are run against it are started, too.
    pub programs: Programs,
    setup: Setup,
    program: Arc<Program>,
}

/// What it keeps when it is started again.
struct Setup {
    storage: Storage,
    tls: Option<Tls>,
    node: Option<Node>,
}

/// It is a node of a cluster.
struct Node {
    /// Where the others talk to it.
    port: u16,
    /// With the file in which it keeps what it knows of the others.
    folder: Arc<Folder>,
    timeout: Duration,
}

/// It listens for TLS as well.
struct Tls {
    port: u16,
    authority: Arc<Authority>,
}

/// What is left of its data when it is killed.
enum Storage {
    Nothing,
    /// All that it has replied to.
    Synced(Arc<Folder>),
}

impl Server {
    /// Starts a server without persistence on a free port, and waits until it answers.
    pub fn start(programs: &Programs) -> Result<Self> {
        Self::start_with(programs, || Ok(Setup::in_memory()))
    }

    /// The same with a second port, for TLS.
    pub fn start_with_tls(programs: &Programs, authority: &Arc<Authority>) -> Result<Self> {
        Self::start_with(programs, || {
            let tls = Tls {
                port: free_port().context("looking for a free port on 127.0.0.1")?,
                authority: authority.clone(),
            };
            Ok(Setup {
                tls: Some(tls),
                ..Setup::in_memory()
            })
        })
    }

    /// The same as a node of a cluster, which knows no other yet, and takes one that is silent for so long for dead.
    pub fn start_node(programs: &Programs, timeout: Duration) -> Result<Self> {
        Self::start_with(programs, || {
            let folder = programs.folder().context("making a folder for a node")?;
            let node = Node {
                port: free_port().context("looking for a free port on 127.0.0.1")?,
                folder,
                timeout,
            };
            Ok(Setup {
                node: Some(node),
                ..Setup::in_memory()
            })
        })
    }

    /// The same with each write in a file, and synced, before its reply.
    pub fn start_synced(programs: &Programs) -> Result<Self> {
        Self::start_with(programs, || {
            let folder = programs
                .folder()
                .context("making a folder for the server")?;
            Ok(Setup {
                storage: Storage::Synced(folder),
                ..Setup::in_memory()
            })
        })
    }

    /// Of the port without TLS.
    pub fn url(&self) -> String {
        self.address().url()
    }

    pub fn address(&self) -> Address {
        Address::of_server(self.port)
    }

    /// Of the port for TLS, if it has one.
    pub fn tls_address(&self) -> Option<Address> {
        self.setup.tls.as_ref().map(|tls| Address {
            authority: Some(tls.authority.clone()),
            ..Address::of_server(tls.port)
        })
    }

    /// Where the other nodes of its cluster talk to it.
    ///
    /// # Panics
    ///
    /// When it is no node of one.
    pub fn node_port(&self) -> u16 {
        self.setup.node.as_ref().expect("BUG: no node").port
    }

    pub fn connect(&self) -> Result<redis::Connection> {
        let connection = redis::Client::open(self.url())?.get_connection();
        connection.context("connecting to redis-server")
    }

    /// An error if the server is gone, which explains whatever the clients had to say.
    pub fn check(&self) -> Result<()> {
        let status = self.program.exit_status();
        match status.context("looking after redis-server")? {
            Some(status) => bail!("redis-server ended during the run ({status})"),
            None => Ok(()),
        }
    }

    /// Kills it with a signal that it cannot handle, and waits until it is gone.
    pub fn kill(&self) {
        self.program.end();
    }

    /// Starts it again at the same address, and waits until it answers.
    pub fn restart(&mut self) -> Result<()> {
        self.program = launch(&self.programs, self.port, &self.setup)?;
        ensure!(
            answers(&self.program, self.port)?,
            "redis-server ended right after it was started again"
        );
        Ok(())
    }

    /// Stops it in the middle of whatever it does: the kernel goes on to accept connections and
    /// bytes for it.
    pub fn freeze(&self) -> Result<()> {
        let stopped = self.program.signal(Signal::SIGSTOP);
        stopped.context("stopping redis-server")
    }

    pub fn thaw(&self) -> Result<()> {
        let continued = self.program.signal(Signal::SIGCONT);
        continued.context("continuing redis-server")
    }

    /// Whether it is there and says nothing.
    pub fn is_silent(&self) -> Result<bool> {
        match ping(self.port, SILENCE) {
            Err(error) if is_timeout(&error) => Ok(true),
            Err(error) => Err(error).context("asking redis-server whether it is frozen"),
            Ok(_) => Ok(false),
        }
    }

    fn start_with(programs: &Programs, setup: impl Fn() -> Result<Setup>) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            let port = free_port().context("looking for a free port on 127.0.0.1")?;
            let setup = setup()?;
            let program = launch(programs, port, &setup)?;
            if answers(&program, port)? {
                return Ok(Self {
                    port,
                    programs: programs.clone(),
                    setup,
                    program,
                });
            }
        }
        bail!(
            "redis-server ended right after its start, {ATTEMPTS} times: run it by hand to see why"
        )
    }
}

impl Setup {
    fn in_memory() -> Self {
        Self {
            storage: Storage::Nothing,
            tls: None,
            node: None,
        }
    }

    fn arguments(&self) -> Vec<OsString> {
        let mut arguments = self.storage.arguments();
        if let Some(tls) = &self.tls {
            arguments.extend(tls.arguments());
        }
        if let Some(node) = &self.node {
            arguments.extend(node.arguments());
        }
        arguments
    }
}

impl Storage {
    fn arguments(&self) -> Vec<OsString> {
        match self {
            Self::Nothing => ["--save", "", "--appendonly", "no"].map(Into::into).into(),
            Self::Synced(folder) => {
                let mut arguments: Vec<OsString> =
                    ["--save", "", "--appendonly", "yes"].map(Into::into).into();
                arguments.extend(["--appendfsync", "always", "--dir"].map(Into::into));
                arguments.push(folder.path().into());
                arguments
            }
        }
    }
}

impl Node {
    fn arguments(&self) -> Vec<OsString> {
        let timeout = self.timeout.as_millis().to_string();
        let mut arguments: Vec<OsString> = [
            ("--cluster-enabled", "yes"),
            ("--cluster-port", &self.port.to_string()),
            ("--cluster-node-timeout", &timeout),
            ("--cluster-require-full-coverage", "no"),
            // A replica waits for no others, and writes no file.
            ("--repl-diskless-sync-delay", "0"),
            ("--repl-diskless-load", "swapdb"),
            // CLUSTER SLOTS shows no replica that has not had a ping of its primary.
            ("--repl-ping-replica-period", "1"),
        ]
        .iter()
        .flat_map(|(flag, value)| [flag.into(), value.into()])
        .collect();
        arguments.extend(["--dir".into(), self.folder.path().into()]);
        arguments
    }
}

impl Tls {
    fn arguments(&self) -> Vec<OsString> {
        let [certificate, key] = self.authority.server_files();
        let port = self.port.to_string();
        let mut arguments: Vec<OsString> = ["--tls-port", &port, "--tls-auth-clients", "no"]
            .map(Into::into)
            .into();
        for (flag, file) in [
            ("--tls-cert-file", certificate),
            ("--tls-key-file", key),
            ("--tls-ca-cert-file", self.authority.file()),
        ] {
            arguments.extend([flag.into(), file.into()]);
        }
        arguments
    }
}

fn launch(programs: &Programs, port: u16, setup: &Setup) -> Result<Arc<Program>> {
    let mut command = Command::new("redis-server");
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(setup.arguments())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    programs.start(&mut command).map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow::anyhow!(
            "redis-server is not installed: install it first, for example with `apt-get install redis-server` or `brew install redis`"
        ),
        _ => anyhow::Error::new(error).context("starting redis-server"),
    })
}

/// Whether it answers; not, if it has ended.
pub fn answers(program: &Program, port: u16) -> Result<bool> {
    let start = Instant::now();
    while start.elapsed() < START_WITHIN {
        if program.exit_status()?.is_some() {
            return Ok(false);
        }
        if ping(port, START_WITHIN).is_ok_and(|is_pong| is_pong) {
            return Ok(true);
        }
        sleep(POLL);
    }
    bail!("redis-server does not answer within {START_WITHIN:?}")
}

/// Whether it answers as it should: while it loads its data it does not.
fn ping(port: u16, within: Duration) -> io::Result<bool> {
    // By hand, because the wait for a reply has a limit here from its first byte.
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let mut stream = TcpStream::connect_timeout(&address, within)?;
    stream.set_read_timeout(Some(within))?;
    stream.write_all(b"PING\r\n")?;
    let mut reply = [0; 5];
    stream.read_exact(&mut reply)?;
    Ok(reply == *b"+PONG")
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(server: &Server, command: &redis::Cmd) -> i64 {
        let client = redis::Client::open(server.url()).expect("an address");
        let mut connection = client.get_connection().expect("a connection");
        command.query(&mut connection).expect("a reply")
    }

    #[test]
    fn what_was_replied_to_survives_a_kill() {
        let mut server = Server::start_synced(&Programs::default()).expect("a server");
        let incr = redis::Cmd::incr("counter", 1);
        assert_eq!(command(&server, &incr), 1);
        server.kill();
        assert!(server.check().is_err());
        server.restart().expect("it starts again");
        assert_eq!(command(&server, &incr), 2);
    }

    #[test]
    fn a_frozen_server_is_silent_until_it_goes_on() {
        let server = Server::start(&Programs::default()).expect("a server");
        assert!(!server.is_silent().expect("it answers"));
        server.freeze().expect("stopped");
        assert!(server.is_silent().expect("it is there"));
        server.thaw().expect("continued");
        assert!(!server.is_silent().expect("it answers again"));
    }
}
