//! Clients that send garbage, or do not read, are refused or bounded, and disturb nobody else.

use std::time::Duration;

use redis_steward::MemoryServer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const SOON: Duration = Duration::from_secs(10);

async fn connect(server: &MemoryServer) -> (TcpStream, redis_steward::MemoryListener) {
    let listener = server.listen("127.0.0.1:0").await.expect("it listens");
    let address = listener.local_addr().expect("an address");
    (
        TcpStream::connect(address).await.expect("a connection"),
        listener,
    )
}

/// Whatever the server sends until it hangs up.
async fn rest(client: &mut TcpStream) -> String {
    let mut reply = Vec::new();
    let read = timeout(SOON, client.read_to_end(&mut reply)).await;
    // A client that has sent more than the server has read sees a reset.
    let _ = read.expect("the server hangs up");
    String::from_utf8_lossy(&reply).into_owned()
}

#[tokio::test]
async fn what_is_no_request_gets_redis_own_error_and_the_end() {
    let server = MemoryServer::new();
    for (input, expected) in [
        (
            &b"*1000000000\r\n"[..],
            "-ERR Protocol error: invalid multibulk length\r\n",
        ),
        (
            b"*-5\r\n*1\r\n$9999999999\r\n",
            "-ERR Protocol error: invalid bulk length\r\n",
        ),
        (
            b"*1\r\n$x\r\n",
            "-ERR Protocol error: invalid bulk length\r\n",
        ),
        (b"*1\r\nGET\r\n", "-ERR Protocol error: expected '$'"),
        (
            b"\"abc\r\n",
            "-ERR Protocol error: unbalanced quotes in request\r\n",
        ),
    ] {
        let (mut client, _listener) = connect(&server).await;
        client.write_all(input).await.expect("it is sent");
        let reply = rest(&mut client).await;
        assert!(
            reply.starts_with(expected),
            "{} got {reply}",
            input.escape_ascii()
        );
    }
}

#[tokio::test]
async fn a_line_without_end_is_cut() {
    let server = MemoryServer::new();
    let (mut client, _listener) = connect(&server).await;
    let endless = vec![b'a'; 1 << 20];
    let mut sent = 0;
    while sent < 1 << 26 && client.write_all(&endless).await.is_ok() {
        sent += endless.len();
    }
    assert!(sent < 1 << 26, "{sent} bytes were taken");
}

#[tokio::test]
async fn half_a_request_is_no_request() {
    let server = MemoryServer::new();
    let (mut client, _listener) = connect(&server).await;
    client
        .write_all(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nab")
        .await
        .expect("it is sent");
    client.shutdown().await.expect("no more comes");
    assert_eq!(rest(&mut client).await, "");
    assert_eq!(server.get("a"), None);
}

#[tokio::test]
async fn a_client_that_does_not_read_stalls_itself_alone() {
    let server = MemoryServer::new();
    let (mut slow, listener) = connect(&server).await;
    let address = listener.local_addr().expect("an address");
    let mut other = TcpStream::connect(address).await.expect("a connection");
    other
        .write_all(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100000\r\n")
        .await
        .expect("it is sent");
    other
        .write_all(&vec![b'x'; 100_000])
        .await
        .expect("it is sent");
    other.write_all(b"\r\n").await.expect("it is sent");
    let mut ok = [0; 5];
    other.read_exact(&mut ok).await.expect("a reply");
    // Its replies would be some gigabytes. It is stopped long before.
    let request = b"GET a\r\n".repeat(1000);
    let mut sent = 0;
    while timeout(Duration::from_millis(500), slow.write_all(&request))
        .await
        .is_ok()
    {
        sent += 1;
        assert!(sent < 10_000, "all is taken");
    }
    other.write_all(b"PING\r\n").await.expect("it is sent");
    let mut pong = [0; 7];
    timeout(SOON, other.read_exact(&mut pong))
        .await
        .expect("in time")
        .expect("a reply");
    assert_eq!(&pong, b"+PONG\r\n");
    other
        .write_all(b"CLIENT LIST\r\n")
        .await
        .expect("it is sent");
    let mut clients = vec![0; 4096];
    let read = timeout(SOON, other.read(&mut clients))
        .await
        .expect("in time")
        .expect("a reply");
    let clients = String::from_utf8_lossy(&clients[..read]).into_owned();
    let unread = clients
        .split(" omem=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let unread: usize = unread
        .and_then(|digits| digits.parse().ok())
        .expect("a figure");
    assert!(unread < 4 << 20, "{clients}");
}
