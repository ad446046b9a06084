//! Goal: a front listens where it is told to and nowhere else, and stops when it is told to or dropped. Method: TCP
//! addresses and Unix sockets.

use std::{net::TcpStream, os::unix::net::UnixListener, time::Duration};

use redis_steward::{DatabaseConfig, FrontError, MemoryServer};
use tempfile::TempDir;

use crate::{
    common::{RedisServer, eventually_async, spawn},
    raw_client::RawClient,
    site::{Site, two_databases},
};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_made_and_removed() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("front.sock");
    // As a process leaves it that was killed.
    drop(UnixListener::bind(&path).expect("a socket"));
    assert!(path.exists());
    let server = MemoryServer::new();
    let (supervisor, _) = spawn(DatabaseConfig::from_url(server.url())).await;
    let front = supervisor.front().listen_unix(&path).start().await;
    let front = front.expect("a front");
    assert_eq!(front.paths().collect::<Vec<_>>(), [path.as_path()]);
    let mut client = RawClient::connect_unix(&path);
    assert_eq!(client.ask("SET a 1"), "+OK");
    // One on which somebody listens stays.
    let second = supervisor.front().listen_unix(&path).start().await;
    assert!(matches!(second, Err(FrontError::Listen { .. })));
    assert_eq!(client.ask("GET a"), "$1 1");
    front.stop().await;
    assert!(!path.exists());
    assert_eq!(client.read_to_end(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_front_disconnects_its_clients() {
    let site = Site::start().await;
    let mut client = site.client();
    assert_eq!(client.ask("PING"), "+PONG");
    client.send("BLPOP none 0");
    drop(site.front);
    assert_eq!(client.read_to_end(), "");
    let refuses = || TcpStream::connect(site.address).is_err();
    eventually_async(SOON, "it does not listen any more", refuses).await;
    let idle = || site.supervisor.statistics().databases["main"].pool.in_use == 0;
    eventually_async(SOON, "nothing is in use", idle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_the_front() {
    let site = Site::start().await;
    let mut client = site.client();
    assert_eq!(client.ask("PING"), "+PONG");
    site.supervisor.shutdown(SOON).await;
    assert_eq!(client.read_to_end(), "");
    assert!(TcpStream::connect(site.address).is_err());
    let again = site.supervisor.front().listen_tcp("127.0.0.1:0");
    assert!(matches!(again.start().await, Err(FrontError::Runtime)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_said() {
    let server = RedisServer::start();
    let supervisor = two_databases(&server).await;
    let front = || supervisor.front();
    let main = || supervisor.front().select(0, "main");
    for (builder, text) in [
        (front(), "the front listens nowhere"),
        (front().listen_tcp("127.0.0.1:0"), "has several databases"),
        (
            main().listen_tcp("redis.example:6379"),
            "names are not looked up",
        ),
        (
            main().listen_tcp("0.0.0.0:0"),
            "permit that by allow_remote",
        ),
        (
            main().listen_tcp("0.0.0.0:0").allow_remote(),
            "need a password",
        ),
        (
            front().select(0, "nonsense").listen_tcp("127.0.0.1:0"),
            "there is no database",
        ),
        (
            main().listen_tcp(format!("127.0.0.1:{}", server.port())),
            "cannot listen on 127.0.0.1",
        ),
    ] {
        let error = builder.start().await.expect_err("it does not fit");
        assert!(error.to_string().contains(text), "{error}");
    }
    let remote = main()
        .listen_tcp("0.0.0.0:0")
        .allow_remote()
        .password("secret")
        .start()
        .await
        .expect("a front");
    let port = remote.addresses().next().expect("its address").port();
    let mut client = RawClient::connect(([127, 0, 0, 1], port).into());
    assert!(client.ask("PING").starts_with("-NOAUTH "));
    remote.stop().await;
    let local = main().listen_tcp("localhost:0").start().await;
    drop(local.expect("a front"));
}
