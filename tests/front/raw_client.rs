//! A client that shows replies as they are on the wire. It blocks, and is independent of every library.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use crate::common::resp::encode;

/// Long enough for any reply on a loaded machine.
const SOON: Duration = Duration::from_secs(20);

trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

pub(crate) struct RawClient(BufReader<Box<dyn Stream>>);

impl RawClient {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        stream.set_write_timeout(Some(SOON)).expect("a timeout");
        stream.set_nodelay(true).expect("nodelay");
        Self(BufReader::new(Box::new(stream)))
    }

    pub(crate) fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("a connection");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        Self(BufReader::new(Box::new(stream)))
    }

    /// The reply to the words of a line. Its lines are separated by spaces: `*2 $1 a :1`.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.send(line);
        self.read()
    }

    pub(crate) fn send(&mut self, line: &str) {
        self.send_bytes(&encode(&line.split(' ').collect::<Vec<_>>()));
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("a write");
    }

    /// Writes as much as the other end takes.
    pub(crate) fn try_send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    pub(crate) fn read(&mut self) -> String {
        self.try_read().expect("a reply")
    }

    pub(crate) fn try_read(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_owned();
        let count = || line[1..].parse::<usize>().unwrap_or(0);
        let elements = match &line[..1] {
            "$" | "=" if line != "$-1" => {
                let mut text = vec![0; count() + 2];
                self.0.read_exact(&mut text)?;
                text.truncate(count());
                return Ok(format!("{line} {}", String::from_utf8_lossy(&text)));
            }
            "*" | "~" | ">" => count(),
            "%" => 2 * count(),
            _ => 0,
        };
        let mut shown = line;
        for _ in 0..elements {
            shown = format!("{shown} {}", self.try_read()?);
        }
        Ok(shown)
    }

    /// What comes until the other end closes the connection.
    pub(crate) fn read_to_end(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset is an end as well.
        let _ = self.0.read_to_end(&mut rest);
        String::from_utf8_lossy(&rest).into_owned()
    }
}
