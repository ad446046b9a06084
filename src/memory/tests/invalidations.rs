//! Goal: each client is told of its own keys, in its own protocol, in time. Method: clients of one server, step by step.

use std::time::{Duration, Instant};

use redis::cmd;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time,
};

use super::client::Client;
use crate::memory::{MemoryServer, stream::MemoryStream};

const OF_K: &str = ">2 $10 invalidate *1 $1 k";
const OF_ALL: &str = ">2 $10 invalidate _";

/// A client with RESP3 that has read `k`.
fn tracker(client: Client, options: &str) -> Client {
    client.ask("HELLO 3");
    let on = format!("CLIENT TRACKING ON{options}");
    client.expect(&[(&on, "+OK"), ("GET k", "_")]);
    client
}

fn id_of(client: &Client) -> String {
    client.ask("CLIENT ID").trim_start_matches(':').to_owned()
}

#[cfg(feature = "memory-lua")]
#[test]
fn a_client_is_told_of_the_changes_of_its_script() {
    let client = tracker(Client::new(), "");
    for (script, told) in [
        ("EVAL redis.call('SET',KEYS[1],1) 1 k", OF_K),
        ("EVAL redis.call('FLUSHALL') 0", OF_ALL),
    ] {
        assert_eq!(client.ask(script), format!("_ {told}"), "{script}");
        client.ask("GET k");
    }
}

/// A client that cannot tell messages from replies gets none, whatever its script speaks.
#[cfg(feature = "memory-lua")]
#[test]
fn a_script_with_another_protocol_tells_a_client_nothing_that_it_does_not_understand() {
    let client = Client::new();
    client.expect(&[
        ("CLIENT TRACKING ON", "+OK"),
        ("GET k", "$-1"),
        (
            "EVAL redis.setresp(3);redis.call('SET',KEYS[1],1) 1 k",
            "$-1",
        ),
        ("GET k", "$1 1"),
    ]);
}

#[test]
fn the_protocol_counts_that_a_transaction_ends_with() {
    let client = tracker(Client::new(), "");
    let change = |hello: &str| {
        client.ask("GET k");
        for line in ["MULTI", "SET k 1", hello] {
            client.ask(line);
        }
        client.ask("EXEC")
    };
    assert!(!change("HELLO 2").contains("invalidate"));
    assert!(change("HELLO 3").ends_with(OF_K));
}

#[test]
fn a_client_that_begins_again_is_not_told_of_earlier_changes() {
    let client = tracker(Client::new(), " BCAST");
    let lines = [
        "MULTI",
        "SET early 1",
        "CLIENT TRACKING OFF",
        "CLIENT TRACKING ON BCAST",
        "SET k 1",
    ];
    for line in lines {
        client.ask(line);
    }
    let told = client.ask("EXEC");
    assert!(told.ends_with(OF_K), "{told}");
}

#[test]
fn the_messages_of_a_transaction_go_to_no_client_that_it_unblocks() {
    let client = tracker(Client::new(), "");
    client.ask("SUBSCRIBE c");
    let waiting = Client::of(&client.store);
    let unblock = format!("CLIENT UNBLOCK {}", id_of(&waiting));
    for (line, told) in [
        ("SET k 1", OF_K),
        ("PUBLISH c text", ">3 $7 message $1 c $4 text"),
    ] {
        waiting.ask("BLPOP l 0");
        for line in ["MULTI", line, &unblock] {
            client.ask(line);
        }
        let reply = client.ask("EXEC");
        assert!(reply.ends_with(&format!(" :1 {told}")), "{reply}");
        assert_eq!(waiting.read(), "*-1");
    }
}

#[test]
fn an_eviction_is_nobodys_own_change() {
    for options in [" NOLOOP", " BCAST NOLOOP"] {
        let client = tracker(Client::new(), options);
        let evict = "CONFIG SET maxmemory-policy allkeys-lru maxmemory 1";
        client.expect(&[
            ("SET k 1", "+OK"),
            ("GET k", "$1 1"),
            (evict, &format!("+OK {OF_K}")),
        ]);
    }
}

#[cfg(feature = "memory-lua")]
#[test]
fn an_eviction_for_a_script_is_nobodys_own_change() {
    for options in [" NOLOOP", " BCAST NOLOOP"] {
        let client = tracker(Client::new(), options);
        client.expect(&[
            ("CONFIG SET maxmemory-policy allkeys-lru", "+OK"),
            ("SET k 1", "+OK"),
            ("GET k", "$1 1"),
        ]);
        client.store.with(|engine| engine.settings.max_bytes = 1);
        let reply = client.ask("EVAL return(1) 0");
        assert_eq!(reply, format!(":1 {OF_K}"));
    }
}

#[test]
fn a_key_that_expires_is_told_of_when_the_time_is_moved_on() {
    for set in ["SET k 1 PX 1000", "HSET k f v"] {
        let server = MemoryServer::new();
        let client = tracker(Client::of(&server.store), "");
        for line in [set, "HPEXPIRE k 1000 FIELDS 1 f", "TYPE k"] {
            client.ask(line);
        }
        server.advance(Duration::from_secs(2));
        assert_eq!(client.read(), OF_K, "{set}");
    }
}

/// Reads until this has come, and nothing else.
async fn expect(stream: &mut MemoryStream, text: &str) {
    let mut read = vec![0; text.len()];
    // The time stands still while there is something to do.
    let limit = Duration::from_secs(3600);
    let reading = time::timeout(limit, stream.read_exact(&mut read));
    let reading = reading.await;
    let seen = String::from_utf8_lossy(&read).into_owned();
    reading.expect(&seen).expect("a connection");
    assert_eq!(seen, text);
}

const WIRE: &str = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";

#[tokio::test(start_paused = true)]
async fn a_key_that_expires_is_told_of_on_a_quiet_server() {
    let server = MemoryServer::new();
    let mut stream = MemoryStream::connect(&server.store).expect("a server that is open");
    let lines = b"CLIENT REPLY OFF\r\nHELLO 3\r\nCLIENT TRACKING ON\r\nSET k 1 PX 100\r\nGET k\r\n";
    stream.write_all(lines).await.expect("a connection");
    let began = time::Instant::now();
    expect(&mut stream, WIRE).await;
    let lasted = began.elapsed();
    assert!(
        (Duration::from_millis(99)..Duration::from_millis(200)).contains(&lasted),
        "{lasted:?}"
    );
}

/// The client that tracks is not told itself, so that nothing but the time wakes it.
#[tokio::test(start_paused = true)]
async fn a_client_that_is_told_in_the_place_of_another_hears_of_what_expires() {
    let server = MemoryServer::new();
    let mut told = MemoryStream::connect(&server.store).expect("a server that is open");
    let mut tracking = MemoryStream::connect(&server.store).expect("a server that is open");
    told.write_all(b"HELLO 3\r\nCLIENT ID\r\n")
        .await
        .expect("OK");
    let mut hello = [0; 1024];
    let read = told.read(&mut hello).await.expect("a reply");
    let hello = String::from_utf8_lossy(&hello[..read]).into_owned();
    let (_, id) = hello.trim_end().rsplit_once(':').expect("an id");
    let track = format!("CLIENT TRACKING ON BCAST REDIRECT {id}\r\n");
    tracking.write_all(track.as_bytes()).await.expect("OK");
    expect(&mut tracking, "+OK\r\n").await;
    let waiting = tokio::spawn(async move { tracking.read(&mut [0; 1]).await });
    time::sleep(Duration::from_secs(1)).await;
    for millis in [5000, 100] {
        let set = cmd("SET").arg("k").arg(1).arg("PX").arg(millis).take();
        server.query::<()>(set).expect("OK");
        expect(&mut told, WIRE).await;
    }
    let began = time::Instant::now();
    expect(&mut told, WIRE).await;
    assert!(began.elapsed() < Duration::from_millis(200));
    assert!(!waiting.is_finished());
    waiting.abort();
}

#[test]
fn a_frozen_server_tells_nothing() {
    for options in ["", " BCAST"] {
        let server = MemoryServer::new();
        let client = tracker(Client::of(&server.store), options);
        client.ask("SUBSCRIBE c");
        let changes = [
            (&["SET", "k", "1"][..], OF_K),
            (&["FLUSHALL"], OF_ALL),
            (&["PUBLISH", "c", "text"], ">3 $7 message $1 c $4 text"),
        ];
        for (words, told) in changes {
            client.ask("GET k");
            server.freeze();
            let change = cmd(words[0]).arg(&words[1..]).take();
            server.query::<redis::Value>(change).expect("a reply");
            server.advance(Duration::from_secs(1));
            assert_eq!(client.read(), "", "{words:?}");
            server.thaw();
            assert_eq!(client.read(), told, "{words:?}");
        }
    }
}

fn remembered(client: &Client) -> (usize, usize) {
    client
        .store
        .with(|engine| (engine.trackers.keys(), engine.trackers.items()))
}

#[test]
fn keys_go_with_a_client_that_tracks_no_more() {
    for end in ["CLIENT TRACKING OFF", "RESET"] {
        let client = Client::new();
        let other = tracker(Client::of(&client.store), "");
        let reader = tracker(Client::of(&client.store), "");
        reader.ask("GET a");
        reader.ask(end);
        // It may begin again.
        assert_eq!(remembered(&client), (2, 3), "{end}");
        drop(reader);
        assert_eq!(remembered(&client), (1, 1), "{end}");
        drop(other);
        assert_eq!(remembered(&client), (0, 0), "{end}");
        client
            .store
            .with(|engine| assert!(!engine.trackers.are_any()));
    }
}

/// What it costs to forget a client is what that one has read: about as much as on a server where no other has read
/// anything.
#[test]
fn clients_go_in_little_time_however_much_others_have_read() {
    const KEYS: usize = 200_000;
    let come_and_go = |client: &Client| {
        let began = Instant::now();
        for _ in 0..200 {
            drop(tracker(Client::of(&client.store), ""));
        }
        began.elapsed()
    };
    let client = tracker(Client::new(), "");
    let keys = (0..KEYS).map(|number| number.to_string().into());
    let exists: Vec<_> = ["EXISTS".into()].into_iter().chain(keys).collect();
    assert_eq!(&client.ask_bytes(&exists)[..], b":0\r\n");
    let alone = Client::new();
    // On a busy machine, one of several is undisturbed.
    let least = |client| (0..5).map(|_| come_and_go(client)).min();
    let (with_many, alone) = (least(&client), least(&alone));
    assert!(
        with_many < alone.map(|least| least * 20),
        "{with_many:?} {alone:?}"
    );
    assert_eq!(remembered(&client), (KEYS + 1, KEYS + 1));
}
