//! Goal: each client is told of its own keys, in its own protocol, in time. Method: clients of one server, step by step.

use std::time::Duration;

use redis::cmd;

use super::client::Client;
use crate::memory::MemoryServer;

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
