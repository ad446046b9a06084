//! Goal: the handshake works with every kind of server, and a connection is used only after it. Method:
//! real servers over TCP and Unix sockets, and scripted servers that are older or stricter.

use std::time::Duration;

use redis::cmd;
use redis_steward::{Config, DatabaseConfig, Protocol, Supervisor};

use crate::common::{
    FaultProxy, Mode, RedisServer, Script, ScriptedServer, eventually_async, older_than,
    resp::bulk, spawn,
};

const SOON: Duration = Duration::from_secs(10);

fn words(commands: &[Vec<Vec<u8>>]) -> Vec<String> {
    let word = |arg: &Vec<u8>| String::from_utf8_lossy(arg).into_owned();
    let line = |command: &Vec<Vec<u8>>| command.iter().map(word).collect::<Vec<_>>().join(" ");
    commands.iter().map(line).collect()
}

#[tokio::test]
async fn the_handshake_selects_protocol_database_and_name() {
    for (protocol, expected) in [(Protocol::Resp2, "2"), (Protocol::Resp3, "3")] {
        selects(protocol, expected).await;
    }
}

async fn selects(protocol: Protocol, expected: &str) {
    let server = RedisServer::builder().requirepass("s3cret").start();
    let main = DatabaseConfig::from_url(server.url_with_db(5)).protocol(protocol);
    let (supervisor, main) = spawn(main).await;
    let _: () = main
        .query(cmd("SET").arg("key").arg("value"))
        .await
        .expect("set");
    assert_eq!(
        server.info("keyspace")["db5"].split(',').next(),
        Some("keys=1")
    );
    let clients = server.clients_named("redis-steward:main");
    assert_eq!(clients.len(), 1);
    assert_eq!(clients[0]["db"], "5");
    if !older_than(7, 0, "the protocol in CLIENT LIST") {
        assert_eq!(clients[0]["resp"], expected);
    }
    if !older_than(7, 2, "CLIENT SETINFO") {
        assert_eq!(clients[0]["lib-name"], "redis-steward");
    }
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn the_handshake_works_over_a_unix_socket() {
    let server = RedisServer::builder().unix().requirepass("s3cret").start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url_with_db(2))).await;
    let count: i64 = main.query(cmd("INCR").arg("n")).await.expect("incr");
    assert_eq!(count, 1);
    server.kill();
    server.restart();
    supervisor.ready(SOON).await.expect("ready again");
    let count: i64 = main.query(cmd("INCR").arg("n")).await.expect("incr");
    assert_eq!(count, 1, "a new server");
    supervisor.shutdown(SOON).await;
}

/// A server from before 6.0: no HELLO, and AUTH with one argument.
fn old_server(command: &[Vec<u8>]) -> Vec<u8> {
    match &*command[0].to_ascii_uppercase() {
        b"HELLO" => b"-ERR unknown command `HELLO`\r\n".to_vec(),
        b"PING" if command.len() == 2 => bulk(&command[1]),
        b"GET" => bulk("from RESP2"),
        _ => b"+OK\r\n".to_vec(),
    }
}

#[tokio::test]
async fn a_server_without_hello_is_used_in_resp2() {
    let peer = ScriptedServer::start([Script::answering_all(old_server)]);
    let url = format!("redis://:s3cret@127.0.0.1:{}/3", peer.port());
    let (supervisor, main) = spawn(DatabaseConfig::from_url(url)).await;
    let value: String = main.query(cmd("GET").arg("key")).await.expect("get");
    assert_eq!(value, "from RESP2");
    let commands = words(&peer.seen_on(0));
    assert_eq!(
        commands[..5],
        [
            "AUTH s3cret",
            "HELLO 2",
            "SELECT 3",
            "CLIENT SETNAME redis-steward:main",
            "CLIENT SETINFO LIB-NAME redis-steward",
        ]
    );
    assert!(commands[6].starts_with("PING "), "{commands:?}");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn optional_steps_of_the_handshake_may_be_refused() {
    let peer = ScriptedServer::start([Script::answering_all(|command| {
        match &*command[0].to_ascii_uppercase() {
            b"HELLO" => b"%1\r\n+proto\r\n:3\r\n".to_vec(),
            b"SELECT" | b"CLIENT" | b"PING" => b"-NOPERM no permissions\r\n".to_vec(),
            _ => b"+OK\r\n".to_vec(),
        }
    })]);
    let (supervisor, main) = spawn(DatabaseConfig::from_url(peer.url())).await;
    let _: () = main.query(cmd("SET").arg("key").arg(1)).await.expect("set");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn an_unknown_database_number_is_named_in_the_error() {
    let server = RedisServer::start();
    let config = DatabaseConfig::from_url(server.url_with_db(99))
        .command_timeout(Duration::from_millis(300));
    let config = Config::new().database("main", config);
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    let main = supervisor.database("main").expect("main");
    let error = main
        .query::<()>(cmd("PING"))
        .await
        .expect_err("no database 99");
    let text = error.to_string();
    assert!(
        text.contains("SELECT") && text.contains("out of range"),
        "{text}"
    );
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn bytes_left_over_from_the_handshake_are_not_taken_for_a_reply() {
    let peer = ScriptedServer::start([
        Script::answering_all(|command| match &*command[0].to_ascii_uppercase() {
            b"HELLO" => b"%1\r\n+proto\r\n:3\r\n".to_vec(),
            b"PING" => [bulk(&command[1]), b"+stray\r\n".to_vec()].concat(),
            _ => b"+OK\r\n".to_vec(),
        }),
        Script::answering(|command| bulk(&command[1])),
    ]);
    // The second connection works, after a pause of one second.
    let (supervisor, main) = spawn(DatabaseConfig::from_url(peer.url())).await;
    let echo: String = main
        .query(cmd("ECHO").arg("nonce"))
        .await
        .expect("its own reply");
    assert_eq!(echo, "nonce");
    let failures = supervisor.statistics().databases["main"].pool.dial_failures;
    assert_eq!(failures, 1);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn commands_of_the_handshake_can_be_left_out() {
    let peer = ScriptedServer::start([Script::answer_handshake()]);
    let url = format!(
        "redis://127.0.0.1:{}/3?protocol=3&without_select",
        peer.port()
    );
    let main = DatabaseConfig::from_url(url)
        .without_hello()
        .without_client_name();
    let (supervisor, main) = spawn(main).await;
    let _: () = main.query(cmd("SET").arg("key").arg(1)).await.expect("set");
    let commands = words(&peer.seen_on(0));
    assert!(commands[0].starts_with("PING "), "{commands:?}");
    assert_eq!(commands[1..], ["SET key 1"]);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn the_handshake_takes_one_round_trip() {
    let server = RedisServer::builder().requirepass("s3cret").start();
    let proxy = FaultProxy::start(server.port());
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let before = proxy.turns();
        let main = DatabaseConfig::from_url(proxy.url())
            .password("s3cret")
            .number(5)
            .protocol(protocol);
        let (supervisor, main) = spawn(main).await;
        assert_eq!(proxy.turns() - before, 1, "{protocol:?}");
        let lease = main.lease().await.expect("a lease");
        assert_eq!(proxy.turns() - before, 2, "{protocol:?}, a lease");
        drop(lease);
        supervisor.shutdown(SOON).await;
    }
}

#[tokio::test]
async fn many_waiting_callers_cause_one_dial() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    proxy.set(Mode::Delay {
        requests: Duration::from_millis(20),
        replies: Duration::from_millis(20),
    });
    let supervisor = Supervisor::spawn(Config::single(proxy.url()))
        .await
        .expect("spawn");
    let main = supervisor.database("main").expect("main");
    let calls: Vec<_> = (0..500)
        .map(|_| {
            let main = main.clone();
            tokio::spawn(async move { main.query::<String>(cmd("PING")).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.expect("task").expect("pong"), "PONG");
    }
    assert_eq!(proxy.accepted(), 1, "one connection for all");
    supervisor.shutdown(SOON).await;
    eventually_async(SOON, "all is closed", || proxy.open() == 0).await;
}

#[tokio::test]
async fn a_name_that_resolves_to_more_than_one_address_is_tried_in_order() {
    // localhost is ::1 as well as 127.0.0.1 on many systems, and the server listens on one of them.
    let server = RedisServer::start();
    let url = format!("redis://localhost:{}", server.port());
    let (supervisor, main) = spawn(DatabaseConfig::from_url(url)).await;
    let pong: String = main.query(cmd("PING")).await.expect("ping");
    assert_eq!(pong, "PONG");
    supervisor.shutdown(SOON).await;
}
