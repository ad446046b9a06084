//! A service of Redis Sentinel: a primary, two replicas and three sentinels, which end with it.

use std::{
    collections::HashMap,
    fs,
    process::{Command, Stdio},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use redis::{Client, Connection, RedisResult, cmd};

use crate::{
    folder::Folder,
    program::{Program, Programs},
    server::{Server, answers, free_port},
};

/// Its name.
pub const SERVICE: &str = "main";

/// Milliseconds after which a silent server counts as dead.
const DOWN_AFTER: u32 = 2_000;
/// Sentinels get to know each other in 2 s.
const AGREED_WITHIN: Duration = Duration::from_secs(60);
const SWITCHED_WITHIN: Duration = Duration::from_secs(60);
/// How exactly it is known when a sentinel names another primary.
const POLL: Duration = Duration::from_millis(2);
const SELDOM: Duration = Duration::from_millis(50);

pub struct Service {
    /// The first is the primary at the start.
    servers: Vec<Server>,
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    port: u16,
    /// With its configuration, which it writes itself.
    _folder: Arc<Folder>,
    _program: Arc<Program>,
}

impl Service {
    /// Starts one, and waits until the replicas follow and the sentinels agree.
    pub fn start(programs: &Programs) -> Result<Self> {
        let servers = (0..3).map(|_| Server::start(programs));
        let servers: Vec<_> = servers.collect::<Result<_>>()?;
        follow(&servers).context("making two servers replicas")?;
        let sentinels = (0..3).map(|_| Sentinel::start(programs, servers[0].port));
        let sentinels = sentinels.collect::<Result<_>>()?;
        let service = Self { servers, sentinels };
        service.until_agreed()?;
        Ok(service)
    }

    pub fn url(&self) -> String {
        let places = self.ports().map(|port| format!("127.0.0.1:{port}"));
        let places: Vec<_> = places.collect();
        format!("redis+sentinel://{}/{SERVICE}", places.join(","))
    }

    /// Of the sentinels.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.sentinels.iter().map(|sentinel| sentinel.port)
    }

    /// The server that was the primary at the start.
    pub fn primary(&self) -> &Server {
        &self.servers[0]
    }

    pub fn server(&self, port: u16) -> Result<&Server> {
        let mut servers = self.servers.iter();
        let server = servers.find(|server| server.port == port);
        server.with_context(|| format!("no server of the service is at port {port}"))
    }

    /// Orders a failover, and returns when it was.
    pub fn fail_over(&self) -> Result<Instant> {
        let mut sentinel = self.sentinels[0].connect()?;
        let started = Instant::now();
        loop {
            let ordered = Instant::now();
            let reply: RedisResult<String> = cmd("SENTINEL")
                .arg("FAILOVER")
                .arg(SERVICE)
                .query(&mut sentinel);
            match reply {
                Ok(_) => return Ok(ordered),
                // It finds no replica while it has not asked them for their state.
                Err(error) if started.elapsed() > SWITCHED_WITHIN => {
                    return Err(error).context("ordering a failover");
                }
                Err(_) => sleep(SELDOM),
            }
        }
    }

    /// The port that a sentinel names first which is another than this, and when it does.
    pub fn primary_after(&self, old: u16) -> Result<(u16, Instant)> {
        let sentinels = self.sentinels.iter().map(Sentinel::connect);
        let mut sentinels: Vec<_> = sentinels.collect::<Result<_>>()?;
        let start = Instant::now();
        while start.elapsed() < SWITCHED_WITHIN {
            for sentinel in &mut sentinels {
                let named = named(sentinel).context("asking a sentinel for the primary")?;
                if named != old {
                    return Ok((named, Instant::now()));
                }
            }
            sleep(POLL);
        }
        bail!("the sentinels name no other primary within {SWITCHED_WITHIN:?}")
    }

    fn until_agreed(&self) -> Result<()> {
        let sentinels = self.sentinels.iter().map(Sentinel::connect);
        let mut sentinels: Vec<_> = sentinels.collect::<Result<_>>()?;
        let start = Instant::now();
        while start.elapsed() < AGREED_WITHIN {
            let mut agree = true;
            for sentinel in &mut sentinels {
                agree &= knows_all(sentinel)?;
            }
            if agree {
                return Ok(());
            }
            sleep(SELDOM);
        }
        bail!("the sentinels do not agree within {AGREED_WITHIN:?}")
    }
}

impl Sentinel {
    fn start(programs: &Programs, primary: u16) -> Result<Self> {
        let folder = programs
            .folder()
            .context("making a folder for a sentinel")?;
        let port = free_port().context("looking for a free port on 127.0.0.1")?;
        let path = folder.path().join("sentinel.conf");
        let config = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\n\
             sentinel monitor {SERVICE} 127.0.0.1 {primary} 2\n\
             sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER}\n\
             sentinel failover-timeout {SERVICE} 5000\n",
            folder.path().display()
        );
        fs::write(&path, config).context("writing the configuration of a sentinel")?;
        let mut command = Command::new("redis-server");
        command
            .arg(&path)
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let program = programs
            .start(&mut command)
            .context("starting a sentinel")?;
        ensure!(
            answers(&program, port)?,
            "a sentinel ended right after its start"
        );
        Ok(Self {
            port,
            _folder: folder,
            _program: program,
        })
    }

    fn connect(&self) -> Result<Connection> {
        let connection = Client::open(format!("redis://127.0.0.1:{}", self.port))?.get_connection();
        connection.context("connecting to a sentinel")
    }
}

/// Makes all but the first replicas of it, and waits until they have what it has.
fn follow(servers: &[Server]) -> Result<()> {
    let connect = |server: &Server| Client::open(server.url())?.get_connection();
    for server in servers {
        let mut connection = connect(server)?;
        // Neither waits for more replicas, nor writes a file where the bench was started.
        for (name, value) in [
            ("repl-diskless-sync-delay", "0"),
            ("repl-diskless-load", "swapdb"),
        ] {
            let mut set = cmd("CONFIG");
            set.arg("SET").arg(name).arg(value);
            set.exec(&mut connection)?;
        }
    }
    let primary = servers[0].port;
    for replica in &servers[1..] {
        let mut order = cmd("REPLICAOF");
        order.arg("127.0.0.1").arg(primary);
        order.exec(&mut connect(replica)?)?;
    }
    let mut connection = connect(&servers[0])?;
    let start = Instant::now();
    while start.elapsed() < AGREED_WITHIN {
        cmd("SET").arg("followed").arg(1).exec(&mut connection)?;
        let have_it: usize = cmd("WAIT").arg(2).arg(1_000).query(&mut connection)?;
        if have_it == 2 {
            return Ok(());
        }
    }
    bail!("the replicas do not follow within {AGREED_WITHIN:?}")
}

/// The port of the primary that a sentinel names.
fn named(sentinel: &mut Connection) -> Result<u16> {
    let mut question = cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(SERVICE);
    let (_, port): (String, u16) = question.query(sentinel)?;
    Ok(port)
}

/// Whether a sentinel knows the others, and both replicas, and has no doubt of the primary.
fn knows_all(sentinel: &mut Connection) -> Result<bool> {
    let mut question = cmd("SENTINEL");
    question.arg("MASTER").arg(SERVICE);
    let known: HashMap<String, String> = question.query(sentinel)?;
    let is = |field: &str, value: &str| known.get(field).is_some_and(|told| told == value);
    Ok(is("num-other-sentinels", "2") && is("num-slaves", "2") && is("flags", "master"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentinel::failover::Failover;

    #[test]
    fn after_a_failover_the_sentinels_name_a_server_that_has_what_the_old_one_had() {
        let service = Service::start(&Programs::default()).expect("a service");
        let write = |server: &Server, key: &str| {
            let mut connection = Client::open(server.url())?.get_connection()?;
            cmd("INCR").arg(key).query::<i64>(&mut connection)
        };
        assert_eq!(write(service.primary(), "counter"), Ok(1));
        let switch = Failover::Ordered.strike(&service).expect("a failover");
        assert_ne!(switch.primary, service.primary().port);
        assert!(switch.struck <= switch.switched);
        let present = service.server(switch.primary).expect("one of the servers");
        assert_eq!(write(present, "counter"), Ok(2));
    }
}
