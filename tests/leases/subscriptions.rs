//! Goal: on a lease that subscribes, messages are no replies, in both protocols. Method: a real server, and
//! another connection that publishes while commands run.

use std::time::Duration;

use redis::Value;
use redis_steward::{DatabaseConfig, Lease, Protocol};

use crate::common::{RedisServer, spawn, version, words};

const SOON: Duration = Duration::from_secs(10);

/// The parts of a confirmation, or of the reply of a subscriber to PING.
fn parts(reply: &Value) -> Vec<String> {
    let items = match reply {
        Value::Array(items) | Value::Push { data: items, .. } => items,
        other => panic!("no confirmation: {other:?}"),
    };
    items
        .iter()
        .map(|item| redis::from_redis_value_ref(item).expect("text"))
        .collect()
}

async fn run(lease: &mut Lease, line: &str) -> Value {
    let reply = lease.query(words(line)).await;
    reply.unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[tokio::test]
async fn messages_are_no_replies() {
    let server = RedisServer::start();
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        if protocol == Protocol::Resp3 && version() < (6, 0) {
            continue;
        }
        let main = DatabaseConfig::from_url(server.url()).protocol(protocol);
        let (supervisor, main) = spawn(main).await;
        let mut lease = main.lease().await.expect("a lease");
        for line in [
            "RPUSH texts message news text",
            "RPUSH kinds subscribe news 1",
        ] {
            let _ = main.query::<i64>(words(line)).await.expect("a list");
        }
        // One confirmation for each channel.
        let replies = run(&mut lease, "SUBSCRIBE news other").await;
        let Value::Array(replies) = replies else {
            panic!("{replies:?}");
        };
        assert_eq!(replies.len(), 2, "{protocol:?}");
        for round in 0..20 {
            for channel in ["news", "other", "newsletter"] {
                let line = format!("PUBLISH {channel} {round}");
                let _ = main.query::<i64>(words(&line)).await.expect("published");
            }
            let line = format!("PING {round}");
            let text = match (protocol, run(&mut lease, &line).await) {
                (Protocol::Resp2, reply) => parts(&reply)[1].clone(),
                (_, reply) => redis::from_redis_value(reply).expect("text"),
            };
            assert_eq!(text, round.to_string(), "{protocol:?}");
            if round == 9 {
                run(&mut lease, "PSUBSCRIBE new*").await;
            }
        }
        // It has one confirmation for each channel, of which the first is the reply.
        run(&mut lease, "UNSUBSCRIBE").await;
        let _ = main
            .query::<i64>(words("PUBLISH news last"))
            .await
            .expect("published");
        run(&mut lease, "PUNSUBSCRIBE").await;
        // Without subscriptions, these are lists like others.
        for (line, expected) in [
            ("LRANGE texts -3 -1", ["message", "news", "text"]),
            ("LRANGE kinds -3 -1", ["subscribe", "news", "1"]),
        ] {
            let list = run(&mut lease, line).await;
            assert_eq!(parts(&list), expected, "{protocol:?}");
        }
        drop(lease);
        supervisor.shutdown(SOON).await;
    }
}

#[tokio::test]
async fn a_reset_ends_subscriptions() {
    if version() < (6, 2) {
        return;
    }
    let server = RedisServer::start();
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let main = DatabaseConfig::from_url(server.url()).protocol(protocol);
        let (supervisor, main) = spawn(main).await;
        let _ = main
            .query::<i64>(words("RPUSH texts message news text"))
            .await
            .expect("a list");
        let mut lease = main.lease().await.expect("a lease");
        run(&mut lease, "SUBSCRIBE news").await;
        run(&mut lease, "RESET").await;
        let list = run(&mut lease, "LRANGE texts -3 -1").await;
        assert_eq!(parts(&list), ["message", "news", "text"], "{protocol:?}");
        drop(lease);
        supervisor.shutdown(SOON).await;
    }
}
