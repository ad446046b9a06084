//! `serve` whose lines nobody reads goes on, and ends.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::{
    fs::{OFlags, fcntl_setfl},
    pipe::{PipeFlags, pipe_with},
    process::{Pid, Signal, kill_process},
};

use crate::{
    common::{RedisServer, eventually, ports::free_port},
    config_file::ConfigFile,
};

const SOON: Duration = Duration::from_secs(30);

/// A service whose stdout and stderr are pipes that are full. Dropping it kills it.
struct Blocked {
    child: Child,
    /// Open, so that writes wait and do not fail.
    _readers: [OwnedFd; 2],
}

impl Blocked {
    fn start(arguments: &[&str]) -> Self {
        let (out_reader, out) = full_pipe();
        let (err_reader, err) = full_pipe();
        let child = Command::new(env!("CARGO_BIN_EXE_redis-steward"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .expect("the program runs");
        Self {
            child,
            _readers: [out_reader, err_reader],
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child that can be signalled");
    }

    /// The exit code, in time.
    #[track_caller]
    fn end(&mut self) -> Option<i32> {
        let mut status = None;
        eventually(SOON, "the program ends", || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // Errors: it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    fcntl_setfl(&writer, OFlags::NONBLOCK).expect("a pipe that does not wait");
    let mut file = std::fs::File::from(writer);
    let full = loop {
        // A pipe takes all of so many bytes or none.
        if let Err(error) = file.write_all(&[b'.'; 4096]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    let writer = OwnedFd::from(file);
    fcntl_setfl(&writer, OFlags::empty()).expect("a pipe that waits");
    (reader, writer)
}

#[test]
fn a_service_whose_lines_nobody_reads_works_and_ends_at_a_signal() {
    let server = RedisServer::start();
    let file = ConfigFile::of(&[("main", &server.url())]);
    for json in [&["--json"][..], &[]] {
        let listen = format!("127.0.0.1:{}", free_port());
        let serve = ["serve", "--http", "off", "--listen", &listen, file.path()];
        let mut service = Blocked::start(&[json, &serve].concat());
        let mut client = connect(&listen);
        // More changes of health than lines may wait.
        for _ in 0..3 {
            server.kill();
            eventually(SOON, "an outage", || ask(&mut client).starts_with('-'));
            server.restart();
            eventually(SOON, "its end", || ask(&mut client) == "$-1\r\n");
        }
        service.signal(Signal::TERM);
        assert_eq!(service.end(), Some(0));
    }
}

#[test]
fn a_second_signal_ends_a_service_whose_commands_are_under_way() {
    let server = RedisServer::start();
    let file = ConfigFile::of(&[("main", &server.url())]);
    for json in [&["--json"][..], &[]] {
        let listen = format!("127.0.0.1:{}", free_port());
        let serve = [
            "serve",
            "--http",
            "off",
            "--grace",
            "1h",
            "--listen",
            &listen,
            file.path(),
        ];
        let mut service = Blocked::start(&[json, &serve].concat());
        let mut client = connect(&listen);
        client
            .write_all(b"*3\r\n$5\r\nBLPOP\r\n$7\r\nnothing\r\n$1\r\n0\r\n")
            .expect("a command");
        eventually(SOON, "a command that waits", || {
            server.cli(&["CLIENT", "LIST"]).contains("cmd=blpop")
        });
        service.signal(Signal::TERM);
        eventually(SOON, "no listener", || {
            std::net::TcpStream::connect(&listen).is_err()
        });
        assert!(service.child.try_wait().expect("a child").is_none());
        service.signal(Signal::TERM);
        assert_eq!(service.end(), Some(1));
    }
}

fn connect(address: &str) -> std::net::TcpStream {
    let mut client = None;
    eventually(SOON, "a listener", || {
        client = std::net::TcpStream::connect(address).ok();
        client.is_some()
    });
    client.expect("a client")
}

/// The answer to a GET of a key that is not there.
fn ask(client: &mut std::net::TcpStream) -> String {
    client
        .write_all(b"*2\r\n$3\r\nGET\r\n$7\r\nnothing\r\n")
        .expect("a command");
    let mut answer = [0; 512];
    let length = client.read(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer[..length]).into_owned()
}
