//! A redis-server of the run's own, which ends with it.

use std::{
    io::ErrorKind,
    net::TcpListener,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

const START_WITHIN: Duration = Duration::from_secs(5);
/// Another program can take the port between our finding it free and the server's binding it.
const ATTEMPTS: usize = 3;

pub struct Server {
    pub port: u16,
    process: Process,
}

/// The server's process, for whoever may have to end it.
#[derive(Clone)]
pub struct Process(Arc<Mutex<Child>>);

impl Server {
    /// Starts a server without persistence on a free port, and waits until it answers.
    pub fn start() -> Result<Self> {
        for _ in 0..ATTEMPTS {
            let server = Self::launch()?;
            if server.answers()? {
                return Ok(server);
            }
        }
        bail!(
            "redis-server ended right after its start, {ATTEMPTS} times: run it by hand to see why"
        )
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn process(&self) -> Process {
        self.process.clone()
    }

    /// An error if the server is gone, which explains whatever the clients had to say.
    pub fn check(&self) -> Result<()> {
        match self.process.exit_status()? {
            Some(status) => bail!("redis-server ended during the run ({status})"),
            None => Ok(()),
        }
    }

    fn launch() -> Result<Self> {
        let port = free_port().context("looking for a free port on 127.0.0.1")?;
        let spawned = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match spawned {
            Ok(child) => Ok(Self {
                port,
                process: Process(Arc::new(Mutex::new(child))),
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "redis-server is not installed: install it first, for example with `apt-get install redis-server` or `brew install redis`"
            ),
            Err(error) => Err(error).context("starting redis-server"),
        }
    }

    /// Whether it answers; not, if it has ended.
    fn answers(&self) -> Result<bool> {
        let client = redis::Client::open(self.url())?;
        let start = Instant::now();
        while start.elapsed() < START_WITHIN {
            if self.process.exit_status()?.is_some() {
                return Ok(false);
            }
            let pong = client
                .get_connection()
                .and_then(|mut connection| redis::cmd("PING").exec(&mut connection));
            if pong.is_ok() {
                return Ok(true);
            }
            sleep(Duration::from_millis(10));
        }
        bail!("redis-server does not answer within {START_WITHIN:?}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.end();
    }
}

impl Process {
    pub fn end(&self) {
        let mut child = self.lock();
        // It is our own child, so it can only be gone already.
        let _ = child.kill();
        let _ = child.wait();
    }

    fn exit_status(&self) -> Result<Option<ExitStatus>> {
        self.lock().try_wait().context("looking after redis-server")
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        self.0.lock().expect("no holder of the lock panics")
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
