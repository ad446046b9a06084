//! A redis-server of the run's own, which ends with it.

use std::{
    io::ErrorKind,
    net::TcpListener,
    process::{Command, Stdio},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::program::{Program, Programs};

const START_WITHIN: Duration = Duration::from_secs(5);
/// Another program can take the port between our finding it free and the server's binding it.
const ATTEMPTS: usize = 3;

pub struct Server {
    pub port: u16,
    /// Where those that are run against it are started, too.
    pub programs: Programs,
    program: Arc<Program>,
}

impl Server {
    /// Starts a server without persistence on a free port, and waits until it answers.
    pub fn start(programs: &Programs) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            let server = Self::launch(programs)?;
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

    /// An error if the server is gone, which explains whatever the clients had to say.
    pub fn check(&self) -> Result<()> {
        let status = self.program.exit_status();
        match status.context("looking after redis-server")? {
            Some(status) => bail!("redis-server ended during the run ({status})"),
            None => Ok(()),
        }
    }

    fn launch(programs: &Programs) -> Result<Self> {
        let port = free_port().context("looking for a free port on 127.0.0.1")?;
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        match programs.start(&mut command) {
            Ok(program) => Ok(Self {
                port,
                programs: programs.clone(),
                program,
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
            if self.program.exit_status()?.is_some() {
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

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
