//! Pub/sub: subscribers that share one connection, and are told of everything that they may have missed.

#[path = "../common/mod.rs"]
mod common;

mod confirmation;
mod credentials;
mod delivery;
mod embedded;
mod endings;
mod failover;
mod keyspace;
mod losses;
mod refusals;
mod sharing;
mod slow;
mod versions;

use std::{fs, time::Duration};

use redis_steward::{GapCause, PubSubEvent, Subscription};
use tempfile::NamedTempFile;
use tokio::time::timeout;

use crate::common::RedisServer;

const SOON: Duration = Duration::from_secs(20);

/// The next event, which is not the end of the stream.
async fn next(subscription: &mut Subscription) -> PubSubEvent {
    let next = timeout(SOON, subscription.next()).await;
    next.expect("an event in time").expect("another event")
}

/// The payload of the next event, which is a message.
async fn message(subscription: &mut Subscription) -> String {
    match next(subscription).await {
        PubSubEvent::Message { payload, .. } => text(&payload),
        other => panic!("no message: {other:?}"),
    }
}

/// The next events are an interruption and its gap. Returns the cause of the gap.
async fn gap(subscription: &mut Subscription) -> GapCause {
    let mut began = None;
    loop {
        match next(subscription).await {
            PubSubEvent::Interrupted { at, .. } => {
                began.get_or_insert(at);
            }
            PubSubEvent::Gap { from, to, cause } => {
                assert_eq!(Some(from), began, "told at its begin");
                assert!(from <= to);
                return cause;
            }
            other => panic!("no gap: {other:?}"),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Publishes, and returns the number of clients that got it.
fn publish(server: &RedisServer, channel: &str, payload: &str) -> u64 {
    let reached = server.cli(&["PUBLISH", channel, payload]);
    reached.parse().expect("a number of clients")
}

/// The clients with subscriptions.
fn subscribers(server: &RedisServer) -> usize {
    let mut clients = server.clients_named("redis-steward");
    clients.retain(|client| {
        ["sub", "psub", "ssub"]
            .iter()
            .any(|kind| is_some(client.get(*kind)))
    });
    clients.len()
}

fn is_some(count: Option<&String>) -> bool {
    count.is_some_and(|count| count != "0")
}

/// A server that does not know HELLO, and the file with its settings.
fn without_resp3() -> (RedisServer, NamedTempFile) {
    let settings = NamedTempFile::new().expect("a file");
    fs::write(settings.path(), "rename-command HELLO unknown\n").expect("written");
    let path = settings.path().to_string_lossy();
    let server = RedisServer::builder().arg("include", &path).start();
    (server, settings)
}

/// How often a channel is subscribed at the server.
fn numsub(server: &RedisServer, channel: &str) -> String {
    server
        .cli(&["PUBSUB", "NUMSUB", channel])
        .replace('\n', " ")
}
