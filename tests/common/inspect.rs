//! Queries to a [`RedisServer`] over separate connections.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixStream,
    time::Duration,
};

use rustix::process::Signal;

use super::{
    resp::{self, Reply},
    server::{Endpoint, RedisServer},
};

const REPLY_BOUND: Duration = Duration::from_secs(10);

impl RedisServer {
    /// Runs a command over a fresh connection and returns the reply as text;
    /// an error reply too, as `ERR …`.
    ///
    /// # Panics
    ///
    /// When there is no reply within 10 s.
    #[track_caller]
    pub fn cli(&self, args: &[&str]) -> String {
        self.command(args).to_string()
    }

    /// [`cli`](Self::cli), with the reply as a value.
    #[track_caller]
    pub fn command(&self, args: &[&str]) -> Reply {
        self.try_command(args)
            .unwrap_or_else(|error| panic!("no reply to {args:?}: {error}"))
    }

    /// [`command`](Self::command) for a server that may be down.
    pub fn try_command(&self, args: &[&str]) -> io::Result<Reply> {
        self.control()?.ask(args)
    }

    /// [`try_command`](Self::try_command) with words of any bytes.
    pub fn try_bytes(&self, args: &[impl AsRef<[u8]>]) -> io::Result<Reply> {
        self.control()?.ask(args)
    }

    /// `SHUTDOWN NOSAVE`; SIGTERM for a server that does not know it. The process is gone on return.
    pub fn shutdown(&self) {
        // A server that shuts down closes instead of replying.
        if self.try_command(&["SHUTDOWN", "NOSAVE"]).is_ok() {
            self.signal(Signal::TERM);
        }
        self.child().wait().expect("a child that can be reaped");
    }

    /// Changes the password of the running server; `url` and `cli` follow.
    /// [`restart`](RedisServer::restart) goes back to the one it started with.
    pub fn set_password(&self, password: &str) {
        assert_eq!(self.cli(&["CONFIG", "SET", "requirepass", password]), "OK");
        *self.password.lock().unwrap() =
            Some(password.to_owned()).filter(|password| !password.is_empty());
    }

    /// A section of `INFO`, by field.
    pub fn info(&self, section: &str) -> BTreeMap<String, String> {
        pairs(self.cli(&["INFO", section]).lines(), ':')
    }

    /// `CLIENT LIST` by field, without the connection that asks.
    pub fn client_list(&self) -> Vec<BTreeMap<String, String>> {
        let mut control = self.control().expect("a server that accepts");
        let own_id = control.ask(&["CLIENT", "ID"]).expect("an id").to_string();
        let list = control
            .ask(&["CLIENT", "LIST"])
            .expect("a list")
            .to_string();
        list.lines()
            .map(|line| pairs(line.split(' '), '='))
            .filter(|client| client.get("id") != Some(&own_id))
            .collect()
    }

    /// The clients whose `CLIENT SETNAME` starts with `prefix`.
    pub fn clients_named(&self, prefix: &str) -> Vec<BTreeMap<String, String>> {
        let mut clients = self.client_list();
        clients.retain(|client| {
            client
                .get("name")
                .is_some_and(|name| name.starts_with(prefix))
        });
        clients
    }

    /// The number of executions of a command since the start. Subcommands
    /// count on their own: `client|setname`.
    pub fn commandstat(&self, command: &str) -> u64 {
        let field = format!("cmdstat_{}", command.to_ascii_lowercase());
        self.info("commandstats").get(&field).map_or(0, |stats| {
            pairs(stats.split(','), '=')["calls"]
                .parse()
                .expect("a number of calls")
        })
    }

    /// The number of replies with this error since the start. A command that is refused
    /// before it runs is counted here only.
    pub fn errorstat(&self, code: &str) -> u64 {
        let field = format!("errorstat_{code}");
        self.info("errorstats").get(&field).map_or(0, |stats| {
            pairs(stats.split(','), '=')["count"]
                .parse()
                .expect("a number of errors")
        })
    }

    pub fn password(&self) -> Option<String> {
        self.password.lock().unwrap().clone()
    }

    pub(super) fn control(&self) -> io::Result<Control> {
        let stream: Box<dyn Duplex> = match &self.endpoint {
            Endpoint::Tcp(port) => {
                let stream = TcpStream::connect(("127.0.0.1", *port))?;
                stream.set_read_timeout(Some(REPLY_BOUND))?;
                Box::new(stream)
            }
            Endpoint::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(REPLY_BOUND))?;
                Box::new(stream)
            }
        };
        let mut control = Control {
            stream: BufReader::new(stream),
            answered: false,
        };
        if let Some(password) = self.password() {
            control.ask(&["AUTH", &password])?;
        }
        Ok(control)
    }
}

/// A blocking connection: one command, one reply.
pub(super) struct Control {
    stream: BufReader<Box<dyn Duplex>>,
    answered: bool,
}

impl Control {
    pub(super) fn ask(&mut self, args: &[impl AsRef<[u8]>]) -> io::Result<Reply> {
        self.answered = false;
        self.stream.get_mut().write_all(&resp::encode(args))?;
        let reply = resp::read_reply(&mut self.stream)?;
        self.answered = true;
        Ok(reply)
    }
}

impl Drop for Control {
    /// Waits until a responsive server has closed its side. A test that counts clients afterwards does
    /// not count this one.
    fn drop(&mut self) {
        if self.answered && self.stream.get_ref().finish().is_ok() {
            let _ = io::copy(&mut self.stream, &mut io::sink());
        }
    }
}

trait Duplex: Read + Write {
    /// Closes the writing side.
    fn finish(&self) -> io::Result<()>;
}

impl Duplex for TcpStream {
    fn finish(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Duplex for UnixStream {
    fn finish(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

fn pairs<'a>(fields: impl Iterator<Item = &'a str>, separator: char) -> BTreeMap<String, String> {
    fields
        .filter_map(|field| field.trim_end().split_once(separator))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
