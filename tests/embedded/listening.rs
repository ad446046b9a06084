//! Clients of other processes, and other crates.

use std::{
    io,
    net::TcpListener,
    process::{Command, Output},
};

use redis::AsyncCommands;
use redis_steward::{MemoryListener, MemoryServer};

async fn cli(url: String, arguments: &'static [&'static str]) -> String {
    let run = move || {
        let mut command = Command::new("redis-cli");
        match url.strip_prefix("unix://") {
            Some(path) => command.args(["-s", path]),
            None => command.args(["-u", &url]),
        };
        let Output { stdout, .. } = command.args(arguments).output().expect("redis-cli runs");
        String::from_utf8(stdout)
            .expect("text")
            .trim_end()
            .to_owned()
    };
    tokio::task::spawn_blocking(run).await.expect("it ends")
}

#[tokio::test]
async fn redis_cli_talks_to_it_over_tcp_and_unix_sockets() {
    let server = MemoryServer::new();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("redis.sock");
    for address in ["127.0.0.1:0".into(), format!("unix://{}", path.display())] {
        let listener = server.listen(&address).await.expect("it listens");
        let url = listener.url();
        assert_eq!(cli(url.clone(), &["SET", "a", "1"]).await, "OK");
        assert_eq!(cli(url.clone(), &["INCRBY", "a", "41"]).await, "42");
        assert_eq!(cli(url.clone(), &["-3", "HGETALL", "none"]).await, "");
        assert!(
            cli(url, &["INFO", "server"])
                .await
                .contains("redis_version:")
        );
        assert_eq!(server.get("a"), Some(b"42".to_vec()));
    }
    assert!(!path.exists());
}

#[tokio::test]
async fn other_crates_talk_to_it() {
    let server = MemoryServer::new();
    let listener = server.listen("127.0.0.1:0").await.expect("it listens");
    let client = redis::Client::open(listener.url()).expect("a URL");
    let mut connection = client
        .get_multiplexed_async_connection()
        .await
        .expect("a connection");
    // Larger than what is taken at once.
    let large = "x".repeat(5_000_000);
    let () = connection.set("a", &large).await.expect("OK");
    assert_eq!(
        connection.get::<_, String>("a").await.expect("a value"),
        large
    );
    drop(listener);
    let gone: redis::RedisResult<String> = connection.ping().await;
    assert!(gone.is_err());
}

#[tokio::test]
async fn a_stopped_server_refuses_connections_until_it_is_started() {
    let server = MemoryServer::new();
    let listener = server.listen("127.0.0.1:0").await.expect("it listens");
    let address = listener.local_addr().expect("an address");
    server.stop();
    while tokio::net::TcpStream::connect(address).await.is_ok() {}
    server.start();
    while tokio::net::TcpStream::connect(address).await.is_err() {}
    assert_eq!(cli(listener.url(), &["PING"]).await, "PONG");
}

/// A client of a cluster goes on at the port that the node names.
#[tokio::test]
async fn a_cluster_names_the_port_that_a_client_came_by() {
    let server = MemoryServer::new_cluster();
    let first = server.listen("127.0.0.1:0").await.expect("it listens");
    let second = server.listen("127.0.0.1:0").await.expect("it listens");
    let port = |listener: &MemoryListener| listener.local_addr().expect("an address").port();
    names_its_port(port(&first)).await;
    names_its_port(port(&second)).await;
    drop(second);
    names_its_port(port(&first)).await;
}

async fn names_its_port(port: u16) {
    let url = format!("redis://127.0.0.1:{port}");
    let client = redis::Client::open(url).expect("a URL");
    let mut connection = client
        .get_multiplexed_async_connection()
        .await
        .expect("a connection");
    let mut ask = async |subcommand: &str| -> String {
        let mut cluster = redis::cmd("CLUSTER");
        let reply = cluster.arg(subcommand).query_async(&mut connection).await;
        let reply: redis::Value = reply.expect("a reply");
        format!("{reply:?}")
    };
    let number = format!("int({port})");
    assert!(ask("SLOTS").await.contains(&number));
    assert!(ask("SHARDS").await.contains(&number));
    assert!(ask("NODES").await.contains(&format!(" :{port}@")));
}

#[tokio::test]
async fn bad_addresses_are_refused_with_advice() {
    let server = MemoryServer::new();
    let refused = |address: String| {
        let server = server.clone();
        async move { server.listen(&address).await.expect_err("a bad address") }
    };
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("an address").to_string();
    assert_eq!(refused(taken).await.kind(), io::ErrorKind::AddrInUse);
    let odd = refused("nonsense".into()).await.to_string();
    assert!(odd.contains("write it as 127.0.0.1:6379"), "{odd}");
    let open = refused("0.0.0.0:0".into()).await;
    assert_eq!(open.kind(), io::ErrorKind::PermissionDenied);
    assert!(open.to_string().contains("set_password"), "{open}");
    server.set_password("secret");
    server.listen("0.0.0.0:0").await.expect("with a password");
}
