//! Goal: MULTI, EXEC, DISCARD, WATCH and UNWATCH behave as at a server. Method: the same lines go to the front and to
//! the server itself, and the replies are compared.

use crate::{common::eventually, raw_client::RawClient, site::Site};

const SOON: std::time::Duration = std::time::Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn transactions_have_the_replies_of_a_server() {
    let site = Site::start().await;
    let (mut client, mut direct) = (site.client(), site.direct());
    let lines = [
        "EXEC",
        "DISCARD",
        "MULTI",
        "SET a 1",
        "INCR a",
        "HSET h f 1",
        "HGETALL h",
        "LPUSH a x",
        "DEL a h",
        "EXEC",
        "MULTI",
        "EXEC",
        "MULTI",
        "SET a 1",
        "DISCARD",
        "EXISTS a",
        "MULTI",
        "BLPOP nothing 0",
        "PING",
        "EXEC",
        "WATCH a",
        "MULTI",
        "SET a 1",
        "EXEC",
        "DEL a",
        "UNWATCH",
        "WATCH a",
        "UNWATCH",
        "WATCH a",
        "MULTI",
        "DISCARD",
    ];
    let expected = lines.map(|line| direct.ask(line));
    direct.ask("FLUSHALL");
    for (line, expected) in lines.iter().zip(expected) {
        assert_eq!(client.ask(line), expected, "{line}");
    }
    let stats = || site.supervisor.statistics().databases["main"].clone();
    eventually(SOON, "no lease is left", || stats().pool.in_use == 0);
    // One was leased for all watches, and another while DISCARD gave it back.
    assert!(stats().pool.idle >= 1, "{:?}", stats().pool);
    // Valkey 9 has other texts for these.
    for (line, expected) in [
        ("MULTI", "+OK"),
        ("MULTI", "-ERR MULTI calls can not be nested"),
        ("WATCH a", "-ERR WATCH inside MULTI is not allowed"),
        ("DISCARD", "+OK"),
    ] {
        assert_eq!(client.ask(line), expected, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_key_that_changes_aborts() {
    let site = Site::start().await;
    let (mut client, mut other) = (site.client(), site.client());
    assert_eq!(client.ask("WATCH a"), "+OK");
    other.ask("SET a 1");
    assert_eq!(client.ask("MULTI"), "+OK");
    assert_eq!(client.ask("SET a 2"), "+QUEUED");
    assert_eq!(client.ask("EXEC"), "*-1");
    assert_eq!(client.ask("GET a"), "$1 1");
    client.ask("HELLO 3");
    client.ask("WATCH a");
    other.ask("SET a 1");
    client.ask("MULTI");
    assert_eq!(client.ask("EXEC"), "_");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_was_refused_aborts_with_the_reason() {
    let site = Site::start().await;
    let mut client = site.client();
    client.ask("MULTI");
    client.ask("SET a 1");
    assert_eq!(client.ask("GET"), "+QUEUED");
    assert_eq!(
        client.ask("EXEC"),
        "-EXECABORT Transaction discarded because of: ERR wrong number of arguments for 'get' command"
    );
    for refused in ["SELECT 0", "SUBSCRIBE a", "FLUSHALL", "CLIENT ID"] {
        client.ask("MULTI");
        client.ask("SET a 1");
        assert!(client.ask(refused).starts_with("-REFUSED"), "{refused}");
        assert_eq!(client.ask("SET a 1"), "+QUEUED");
        assert_eq!(
            client.ask("EXEC"),
            "-EXECABORT Transaction discarded because of previous errors."
        );
    }
    assert_eq!(client.ask("EXISTS a"), ":0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_was_refused_watches_nothing() {
    let site = Site::start().await;
    let in_use = || site.supervisor.statistics().databases["main"].pool.in_use;
    let mut client = site.client();
    let refused = client.ask("WATCH");
    assert_eq!(refused, site.direct().ask("WATCH"));
    eventually(SOON, "it holds no connection", || in_use() == 0);
    // One that watches something goes on with that.
    client.ask("WATCH a");
    assert_eq!(client.ask("WATCH"), refused);
    assert_eq!(in_use(), 1);
    site.client().ask("SET a 1");
    client.ask("MULTI");
    client.ask("SET a 2");
    assert_eq!(client.ask("EXEC"), "*-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_within_a_transaction_leaves_nothing() {
    let site = Site::start().await;
    let in_use = || site.supervisor.statistics().databases["main"].pool.in_use;
    let mut client: RawClient = site.client();
    client.ask("WATCH a");
    client.ask("MULTI");
    client.ask("SET a 1");
    assert_eq!(in_use(), 1);
    drop(client);
    eventually(SOON, "its connection is given back", || in_use() == 0);
    assert_eq!(site.client().ask("EXISTS a"), ":0");
}

const SILENCE: std::time::Duration = std::time::Duration::from_millis(100);

/// A site where clients with a transaction may be silent for this long, and such a client, which has watched a key and
/// lost its connection.
async fn silent_client() -> (Site, RawClient) {
    let site = Site::with(|main| main, |front| front.transaction_timeout(SILENCE)).await;
    let mut client = site.client();
    assert_eq!(client.ask("WATCH a"), "+OK");
    let in_use = || site.supervisor.statistics().databases["main"].pool.in_use;
    eventually(SOON, "its connection is taken away", || in_use() == 0);
    (site, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_a_silent_client_ends_and_its_transaction_is_aborted() {
    let aborted = "-EXECABORT Transaction discarded because the client was silent for 100ms.";
    let (site, mut client) = silent_client().await;
    // What it watches now cannot make up for what it has missed.
    for (line, reply) in [
        ("GET a", "$-1"),
        ("WATCH b", "+OK"),
        ("MULTI", "+OK"),
        ("SET a 1", "+QUEUED"),
        ("EXEC", aborted),
        ("EXISTS a", ":0"),
    ] {
        assert_eq!(client.ask(line), reply, "{line}");
    }
    // After that it begins anew.
    for (line, reply) in [
        ("WATCH a", "+OK"),
        ("MULTI", "+OK"),
        ("SET a 1", "+QUEUED"),
        ("EXEC", "*1 +OK"),
    ] {
        assert_eq!(client.ask(line), reply, "{line}");
    }
    drop(site);
    for (end, reply) in [("UNWATCH", "+OK"), ("RESET", "+RESET")] {
        let (_site, mut client) = silent_client().await;
        assert_eq!(client.ask(end), reply);
        client.ask("MULTI");
        client.ask("SET a 1");
        assert_eq!(client.ask("EXEC"), "*1 +OK", "{end}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queued_commands_of_a_silent_client_are_dropped() {
    let site = Site::with(|main| main, |front| front.transaction_timeout(SILENCE)).await;
    let mut client = site.client();
    for line in ["MULTI", "SET a 1"] {
        client.ask(line);
    }
    let replies = || site.supervisor.statistics().databases["main"].succeeded;
    let before = replies();
    // The server counts the time.
    assert_eq!(site.direct().ask("BLPOP none 0.5"), "*-1");
    assert_eq!(client.ask("SET a 2"), "+QUEUED");
    assert_eq!(
        client.ask("EXEC"),
        "-EXECABORT Transaction discarded because the client was silent for 100ms."
    );
    assert_eq!(replies(), before);
    // One that waits within a command is not silent.
    client.ask("WATCH a");
    assert_eq!(client.ask("BLPOP none 0.3"), "*-1");
    client.ask("MULTI");
    client.ask("SET a 1");
    assert_eq!(client.ask("EXEC"), "*1 +OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_lost_before_another_one_aborts_the_transaction() {
    let site = Site::start().await;
    let mut client = site.client();
    assert_eq!(client.ask("WATCH a"), "+OK");
    let clients = site.server.clients_named("redis-steward");
    let watching = clients.iter().find(|client| client["cmd"] == "watch");
    let id = &watching.expect("a client that watches")["id"];
    assert_eq!(site.direct().ask(&format!("CLIENT KILL ID {id}")), ":1");
    assert!(client.ask("WATCH b").starts_with("-CONNECTIONLOST "));
    client.ask("MULTI");
    client.ask("SET a 1");
    assert_eq!(
        client.ask("EXEC"),
        "-EXECABORT Transaction discarded because the connection that watched its keys was lost."
    );
    assert_eq!(client.ask("EXISTS a"), ":0");
}
