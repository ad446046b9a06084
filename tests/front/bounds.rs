//! Goal: bad input and slow readers are refused, cost bounded memory, and disturb no other client. Method: raw
//! clients that misbehave, and one that does not.

use std::{num::NonZeroUsize, time::Duration};

use redis_steward::FrontBuilder;

use crate::{
    common::{
        eventually,
        proc::resident_bytes,
        resp::{bulk, encode},
    },
    site::Site,
};

const SOON: Duration = Duration::from_secs(20);
const MIB: usize = 1024 * 1024;

fn size(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("more than none")
}

async fn bounded() -> Site {
    let bounds = |front: FrontBuilder| {
        front
            .max_request_bytes(size(MIB))
            .max_output_bytes(size(64 * 1024))
            .max_outstanding(size(64))
            .stall_timeout(Duration::from_millis(500))
    };
    Site::with(|main| main, bounds).await
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_is_no_request_is_refused_and_ends_the_connection() {
    let site = bounded().await;
    let mut other = site.client();
    let endless = vec![b'x'; 64 * 1024 + 1];
    let cases: [(&[u8], &str); 8] = [
        (b"*x\r\n", "-ERR Protocol error: invalid multibulk length"),
        (
            b"*99999999\r\n",
            "-ERR Protocol error: invalid multibulk length",
        ),
        (b"*1\r\n:1\r\n", "-ERR Protocol error: expected '$'"),
        (b"*1\r\n$-5\r\n", "-ERR Protocol error: invalid bulk length"),
        (
            b"*1\r\n$99999999999\r\n",
            "-ERR Protocol error: invalid bulk length",
        ),
        (
            b"*2\r\n$3\r\nGET\r\n$1048576\r\n",
            "-ERR Protocol error: the request is too large",
        ),
        (
            b"set a \"b\r\n",
            "-ERR Protocol error: unbalanced quotes in request",
        ),
        (&endless, "-ERR Protocol error: too big inline request"),
    ];
    for (input, expected) in cases {
        let mut client = site.client();
        client.ask("SET a 1");
        client.send_bytes(input);
        assert_eq!(client.read(), expected);
        assert_eq!(client.read_to_end(), "");
        assert_eq!(other.ask("GET a"), "$1 1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_runs_no_commands() {
    let site = Site::start().await;
    for start in ["POST / HTTP/1.1\r\n", "Host: localhost\r\n"] {
        let mut client = site.client();
        client.send_bytes(format!("{start}\r\nSET a 1\r\n").as_bytes());
        assert_eq!(client.read(), "-ERR this is no server of HTTP");
        assert_eq!(client.read_to_end(), "");
    }
    assert_eq!(site.client().ask("EXISTS a"), ":0");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_all_kinds_end_no_other_client() {
    let site = bounded().await;
    let mut other = site.client();
    let mut seed = 7_u64;
    for length in 0..200 {
        let mut garbage: Vec<u8> = (0..length)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // Half of it looks like the protocol.
                let byte = (seed >> 33) as u8;
                if byte < 128 {
                    b"*$\r\n123GET "[usize::from(byte) % 11]
                } else {
                    byte
                }
            })
            .collect();
        garbage.extend(b"\r\n");
        let mut client = site.client();
        client.send_bytes(&garbage);
        assert_eq!(other.ask("PING"), "+PONG");
    }
    assert_eq!(other.ask("SET a 1"), "+OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_login_may_send_little() {
    let site = Site::with(|main| main, |front| front.password("secret")).await;
    let mut client = site.client();
    client.send_bytes(b"*11\r\n");
    assert_eq!(
        client.read(),
        "-ERR Protocol error: unauthenticated multibulk length"
    );
    let mut client = site.client();
    client.send_bytes(b"*2\r\n$4\r\nAUTH\r\n$20000\r\n");
    assert_eq!(
        client.read(),
        "-ERR Protocol error: unauthenticated bulk length"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_request_waits_for_its_rest_and_holds_nobody_up() {
    let site = bounded().await;
    let (mut client, mut other) = (site.client(), site.client());
    let request = encode(&["SET", "a", "value"]);
    for byte in &request[..request.len() - 1] {
        client.send_bytes(&[*byte]);
        assert_eq!(other.ask("EXISTS a"), ":0");
    }
    client.send_bytes(&request[request.len() - 1..]);
    assert_eq!(client.read(), "+OK");
    // A large value is within the bound.
    let large = "v".repeat(MIB - 1024);
    client.send_bytes(&encode(&["SET", "a", &large]));
    assert_eq!(client.read(), "+OK");
    assert_eq!(other.ask("STRLEN a"), format!(":{}", large.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_served_no_further_and_then_disconnected() {
    let site = bounded().await;
    let mut other = site.client();
    let value = "v".repeat(100 * 1024);
    other.send_bytes(&encode(&["SET", "a", &value]));
    assert_eq!(other.read(), "+OK");
    let before = resident_bytes();
    let mut slow = site.client();
    let gets = encode(&["GET", "a"]).repeat(10_000);
    // A gigabyte of replies, which it does not read. The write fails when the front ends the connection.
    let mut written = Ok(());
    eventually(SOON, "it is disconnected", || {
        assert_eq!(other.ask("PING"), "+PONG");
        written = slow.try_send_bytes(&gets);
        written.is_err()
    });
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 * MIB, "{grown} bytes more");
    assert_eq!(other.ask("STRLEN a"), format!(":{}", value.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_slowly_gets_everything() {
    let site = bounded().await;
    let mut client = site.client();
    let value = "v".repeat(50 * 1024);
    client.send_bytes(&encode(&["SET", "a", &value]));
    assert_eq!(client.read(), "+OK");
    client.send_bytes(&encode(&["GET", "a"]).repeat(500));
    let expected = String::from_utf8(bulk(&value)).expect("text");
    for _ in 0..500 {
        let reply = client.read();
        assert_eq!(reply.len(), expected.trim_end().len() - 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_beyond_the_bound_are_refused() {
    let site = Site::with(|main| main, |front| front.max_clients(size(2))).await;
    let (mut one, mut two) = (site.client(), site.client());
    assert_eq!(one.ask("PING"), "+PONG");
    assert_eq!(two.ask("PING"), "+PONG");
    let mut three = site.client();
    assert_eq!(three.read(), "-ERR max number of clients reached");
    assert_eq!(three.read_to_end(), "");
    drop(one);
    eventually(SOON, "a place is free", || {
        let mut next = site.client();
        next.try_send_bytes(b"PING\r\n").is_ok()
            && next.try_read().is_ok_and(|reply| reply == "+PONG")
    });
    assert_eq!(two.ask("PING"), "+PONG");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_has_the_bound_of_a_request() {
    let site = bounded().await;
    let mut client = site.client();
    client.ask("MULTI");
    let set = encode(&["SET", "a", &"v".repeat(300 * 1024)]);
    for _ in 0..3 {
        client.send_bytes(&set);
        assert_eq!(client.read(), "+QUEUED");
    }
    client.send_bytes(&set);
    assert!(
        client
            .read()
            .starts_with("-REFUSED the transaction is larger")
    );
    assert!(client.ask("EXEC").starts_with("-EXECABORT "));
    assert_eq!(client.ask("EXISTS a"), ":0");
}
