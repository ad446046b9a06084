//! Goal: the fixtures work as documented, so a failure of another test is a failure of the crate.
//! Method: a blocking client against a real server, directly and through the proxy; `INCR` counts the
//! requests that arrived.

use std::{
    io::{self, BufReader, ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::common::{
    FaultProxy, Mode, RedisServer, Reply, Script, ScriptedServer, eventually, proc,
    resp::{encode, read_reply},
};

/// Long enough for any reply on a loaded machine.
const SOON: Duration = Duration::from_secs(5);
/// Long enough to conclude that no reply comes: the server answers within 1 ms.
const NEVER: Duration = Duration::from_millis(200);

#[test]
fn a_killed_server_comes_back_on_its_port() {
    let server = RedisServer::start();
    let (port, pid) = (server.port(), server.pid());
    let mut client = Client::connect(port);
    assert_eq!(client.ask("PING"), Reply::Status("PONG".to_owned()));

    server.kill();
    assert_eq!(client.read_to_end(), b"");
    assert_eq!(refusal(port), ErrorKind::ConnectionRefused);

    server.restart_without_waiting();
    server.wait_accepting();
    server.wait_answering().expect("an answer");
    assert_ne!(server.pid(), pid);
    assert_eq!(Client::connect(port).ask("PING").to_string(), "PONG");
}

#[test]
fn a_frozen_server_accepts_and_answers_after_the_thaw() {
    let server = RedisServer::start();
    let mut client = Client::connect(server.port());

    server.freeze();
    client.send("INCR");
    assert!(client.is_silent());
    let mut another = Client::connect(server.port());
    another.send("INCR");
    assert!(another.is_silent());

    server.thaw();
    client.reply();
    another.reply();
    assert_eq!(server.cli(&["GET", "n"]), "2");
}

#[test]
fn swallowed_replies_belong_to_commands_that_ran() {
    let (server, proxy, mut client) = behind_a_proxy();

    proxy.set(Mode::SwallowReplies);
    client.send("INCR");
    eventually(SOON, "the reply is swallowed", || {
        proxy.swallowed_bytes() > 0
    });
    assert!(client.is_silent());
    assert_eq!(server.cli(&["GET", "n"]), "1");

    proxy.heal();
    assert_eq!(client.ask("INCR"), Reply::Int(2));
}

#[test]
fn a_cut_ends_the_connection_after_so_many_bytes() {
    let (server, proxy, mut client) = behind_a_proxy();

    proxy.set(Mode::CutAfter { reply_bytes: 3 });
    client.send("PING");
    assert_eq!(client.read_to_end(), b"+PO");
    eventually(SOON, "the server's side is closed too", || {
        server.client_list().is_empty()
    });

    proxy.heal();
    assert_eq!(
        Client::connect(proxy.port()).ask("PING").to_string(),
        "PONG"
    );
}

#[test]
fn a_reset_reaches_both_sides() {
    let (server, proxy, mut client) = behind_a_proxy();
    assert_eq!(proxy.open(), 1);

    assert_eq!(proxy.reset_all(), 1);
    assert_eq!(client.read_error(), ErrorKind::ConnectionReset);
    assert_eq!(proxy.open(), 0);
    eventually(SOON, "the server's side is closed too", || {
        server.client_list().is_empty()
    });
}

#[test]
fn a_black_hole_neither_passes_nor_closes_anything() {
    let (server, proxy, mut client) = behind_a_proxy();

    proxy.set(Mode::BlackHole);
    client.send("INCR");
    let mut another = Client::connect(proxy.port());
    another.send("INCR");
    assert!(client.is_silent() && another.is_silent());
    assert_eq!(server.cli(&["EXISTS", "n"]), "0");
    assert_eq!(server.client_list().len(), 1);

    proxy.heal();
    client.reply();
    another.reply();
    assert_eq!(server.cli(&["GET", "n"]), "2");
}

#[test]
fn a_refusing_proxy_keeps_its_connections_and_its_port() {
    let (_server, proxy, mut client) = behind_a_proxy();

    proxy.refuse();
    assert_eq!(refusal(proxy.port()), ErrorKind::ConnectionRefused);
    assert_eq!(client.ask("PING").to_string(), "PONG");

    proxy.heal();
    assert_eq!(
        Client::connect(proxy.port()).ask("PING").to_string(),
        "PONG"
    );
    assert_eq!(proxy.accepted(), 2);
}

#[test]
fn delayed_replies_keep_their_order_and_duplicated_replies_come_twice() {
    let (_server, proxy, mut client) = behind_a_proxy();

    let replies = Duration::from_millis(100);
    proxy.set(Mode::Delay {
        requests: Duration::ZERO,
        replies,
    });
    let start = Instant::now();
    (0..3).for_each(|_| client.send("INCR"));
    assert_eq!(
        [client.reply(), client.reply(), client.reply()],
        [1, 2, 3].map(Reply::Int)
    );
    assert!(start.elapsed() >= replies);

    proxy.set(Mode::DuplicateReplies);
    client.send("INCR");
    assert_eq!([client.reply(), client.reply()], [4, 4].map(Reply::Int));
}

#[test]
fn a_scripted_server_plays_one_script_per_connection() {
    let server = ScriptedServer::start([
        Script::replies_then_close([":1\r\n", "-ERR no\r\n"]),
        Script::endless("+x\r\n"),
        Script::silent(),
    ]);

    let mut first = Client::connect(server.port());
    assert_eq!(first.ask("PING").to_string(), "PONG");
    assert_eq!(first.ask("INCR"), Reply::Int(1));
    assert_eq!(first.ask("INCR"), Reply::Error("ERR no".to_owned()));
    first.send("INCR");
    assert_eq!(first.read_to_end(), b"");
    assert_eq!((server.count("incr"), server.seen().len()), (3, 4));

    let mut second = Client::connect(server.port());
    (0..1000).for_each(|_| assert_eq!(second.reply().to_string(), "x"));
    drop(second);

    let mut third = Client::connect(server.port());
    third.send("INCR");
    assert!(third.is_silent());
    assert_eq!(server.seen_on(2), [[b"INCR".to_vec(), b"n".to_vec()]]);
    assert_eq!(proc::sockets_to(server.port()), 1);
}

#[test]
fn a_socket_counts_once_however_often_the_kernel_lists_it() {
    let server = ScriptedServer::start([Script::silent()]);
    let client = Client::connect(server.port());
    let table = proc::tcp_table();
    assert_eq!(proc::sockets_in(&table, server.port()), 1);
    assert_eq!(proc::sockets_in(&table.repeat(19), server.port()), 1);
    drop(client);
    assert_eq!(proc::sockets_in(&table, server.port()), 0);
}

/// A client that is connected to a server through a proxy.
fn behind_a_proxy() -> (RedisServer, FaultProxy, Client) {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let mut client = Client::connect(proxy.port());
    assert_eq!(client.ask("PING").to_string(), "PONG");
    (server, proxy, client)
}

fn refusal(port: u16) -> ErrorKind {
    TcpStream::connect(("127.0.0.1", port))
        .expect_err("a refusal")
        .kind()
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        Self(BufReader::new(stream))
    }

    fn send(&mut self, command: &str) {
        let key = if command == "PING" { &[][..] } else { &["n"] };
        let command = encode(&[&[command], key].concat());
        self.0
            .get_mut()
            .write_all(&command)
            .expect("a written command");
    }

    fn reply(&mut self) -> Reply {
        read_reply(&mut self.0).expect("a reply")
    }

    fn ask(&mut self, command: &str) -> Reply {
        self.send(command);
        self.reply()
    }

    fn is_silent(&mut self) -> bool {
        let stream = self.0.get_ref();
        stream.set_read_timeout(Some(NEVER)).expect("a timeout");
        let peeked: io::Result<usize> = stream.peek(&mut [0]);
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).expect("a clean end");
        bytes
    }

    fn read_error(&mut self) -> ErrorKind {
        self.0.read(&mut [0]).expect_err("an error").kind()
    }
}
