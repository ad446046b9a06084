//! What is kept, and in which form it is given.

use std::collections::HashMap;

use redis::{AsyncCommands as _, Cmd, Value, cmd};
use redis_steward::{DatabaseConfig, Protocol, Source};

use crate::{Rig, SOON};

/// Commands that are kept, about keys of every type.
fn reads() -> Vec<Cmd> {
    let words = [
        "GET s",
        "STRLEN s",
        "GETRANGE s 0 2",
        "GETBIT s 1",
        "BITCOUNT s",
        "TYPE s",
        "EXISTS s",
        "HGET h a",
        "HMGET h a none",
        "HGETALL h",
        "HEXISTS h a",
        "HLEN h",
        "HKEYS h",
        "HVALS h",
        "LINDEX l 0",
        "LLEN l",
        "LRANGE l 0 -1",
        "LPOS l b",
        "SCARD t",
        "SISMEMBER t x",
        "SMISMEMBER t x y",
        "SMEMBERS t",
        "ZCARD z",
        "ZCOUNT z 0 9",
        "XLEN x",
        "GET none",
        "HGETALL none",
        "SMEMBERS none",
        "TYPE none",
        "MGET s none",
    ];
    let command = |line: &&str| {
        let mut words = line.split(' ');
        let mut command = cmd(words.next().expect("a name"));
        words.for_each(|word| {
            command.arg(word);
        });
        command
    };
    words.iter().map(command).collect()
}

async fn fill(rig: &Rig) {
    for line in [
        "SET s text",
        "HSET h a 1 b 2",
        "RPUSH l a b",
        "SADD t x",
        "ZADD z 1 m",
        "XADD x 1-1 f v",
    ] {
        let words: Vec<_> = line.split(' ').collect();
        rig.server.cli(&words);
    }
}

async fn replies_are_those_of_the_server(protocol: Protocol) {
    let rig = Rig::with(|main: DatabaseConfig| main.protocol(protocol)).await;
    fill(&rig).await;
    for read in reads() {
        let expected = rig.main.execute(&read).await.expect("a reply");
        let name = String::from_utf8_lossy(&read.get_packed_command()).into_owned();
        let hits = rig.figures().hits;
        for attempt in 0..3 {
            let reply = rig.cached.query_with_source::<Value>(&read).await;
            let (reply, source) = reply.expect("a reply");
            assert_eq!(reply, expected, "{name:?}");
            if attempt == 2 {
                assert_eq!(source, Source::Cache, "{name:?}");
            }
        }
        assert!(rig.figures().hits > hits, "{name:?}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn kept_replies_are_those_of_the_server_in_resp2() {
    replies_are_those_of_the_server(Protocol::Resp2).await;
}

#[tokio::test]
async fn kept_replies_are_those_of_the_server_in_resp3() {
    replies_are_those_of_the_server(Protocol::Resp3).await;
}

#[tokio::test]
async fn hits_ask_no_server() {
    let rig = Rig::start().await;
    rig.server.cli(&["SET", "s", "text"]);
    let mut cached = rig.cached.clone();
    assert_eq!(rig.get_from_cache("s").await.as_deref(), Some("text"));
    let calls = rig.calls("get");
    for _ in 0..100 {
        let value: String = cached.get("s").await.expect("a reply");
        assert_eq!(value, "text");
    }
    // Threads have it, too.
    let blocking = cached.blocking();
    let read = move || blocking.query::<String>(cmd("GET").arg("s"));
    let value = tokio::task::spawn_blocking(read).await.expect("no panic");
    assert_eq!(value.expect("a reply"), "text");
    assert_eq!(rig.calls("get"), calls);
    // Another handle does not use it.
    let value: String = rig.main.query(cmd("GET").arg("s")).await.expect("a reply");
    assert_eq!(value, "text");
    assert_eq!(rig.calls("get"), calls + 1);
    assert!(rig.figures().hit_rate().expect("reads") > 0.9);
    rig.stop().await;
}

#[tokio::test]
async fn misses_at_the_same_time_ask_once() {
    let rig = Rig::start().await;
    rig.server.cli(&["SET", "s", "text"]);
    let before = rig.calls("get");
    let reads = (0..100).map(|_| rig.get("s"));
    for value in futures_util::future::join_all(reads).await {
        assert_eq!(value.as_deref(), Some("text"));
    }
    assert_eq!(rig.calls("get"), before + 1);
    // Nobody depends on whether another one looks at its call.
    rig.server.cli(&["SET", "resting", "text"]);
    let mut resting = Box::pin(rig.get("resting"));
    assert!(futures_util::poll!(&mut resting).is_pending());
    let value = tokio::time::timeout(SOON, rig.get("resting")).await;
    assert_eq!(value.expect("in time").as_deref(), Some("text"));
    assert_eq!(resting.await.as_deref(), Some("text"));
    // One that is given up takes the others to the server, and nothing with it.
    rig.server.cli(&["SET", "other", "text"]);
    let given_up = Box::pin(rig.get("other"));
    let waiting = Box::pin(rig.get("other"));
    let mut waiting = futures_util::future::join(given_up, waiting);
    assert!(futures_util::poll!(&mut waiting).is_pending());
    drop(waiting);
    assert_eq!(rig.get("other").await.as_deref(), Some("text"));
    rig.stop().await;
}

#[tokio::test]
async fn an_mget_asks_for_what_is_missing() {
    let rig = Rig::start().await;
    for key in ["a", "b", "c"] {
        rig.server.cli(&["SET", key, key]);
    }
    let mget = |keys: &[&str]| cmd("MGET").arg(keys).take();
    let read = async |keys: &[&str]| -> Vec<Option<String>> {
        rig.cached.query(&mget(keys)).await.expect("a reply")
    };
    let some = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| Some((*text).to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(read(&["a", "b"]).await, some(&["a", "b"]));
    let calls = rig.calls("mget");
    assert_eq!(read(&["b", "a", "a"]).await, some(&["b", "a", "a"]));
    assert_eq!(rig.calls("mget"), calls, "all are kept");
    let mut expected = some(&["a", "c"]);
    expected.push(None);
    assert_eq!(read(&["a", "c", "none"]).await, expected);
    assert_eq!(rig.calls("mget"), calls + 1);
    rig.cached
        .query::<()>(cmd("SET").arg("a").arg("z"))
        .await
        .expect("a reply");
    assert_eq!(read(&["a", "b"]).await, some(&["z", "b"]));
    rig.stop().await;
}

#[tokio::test]
async fn errors_and_other_commands_go_the_usual_way() {
    let rig = Rig::start().await;
    fill(&rig).await;
    for _ in 0..2 {
        let error = rig.cached.query::<String>(cmd("GET").arg("h")).await;
        assert_eq!(error.expect_err("a hash").code(), Some("WRONGTYPE"));
    }
    let all: HashMap<String, i64> = rig
        .cached
        .query(cmd("HGETALL").arg("h"))
        .await
        .expect("a reply");
    assert_eq!(all.len(), 2);
    let score: f64 = rig
        .cached
        .query(cmd("ZSCORE").arg("z").arg("m"))
        .await
        .expect("a reply");
    assert!((score - 1.0).abs() < f64::EPSILON);
    // Without sentinels reads of replicas go to the primary, and are answered by it.
    rig.supervisor.isolate("main").await.expect("isolated");
    rig.cached
        .query::<i64>(cmd("HLEN").arg("h"))
        .await
        .expect_err("out of use");
    rig.supervisor.reset("main").await.expect("in use");
    rig.cached
        .query::<i64>(cmd("HLEN").arg("h"))
        .await
        .expect("a reply");
    rig.supervisor.shutdown(SOON).await;
    rig.cached
        .query::<i64>(cmd("HLEN").arg("h"))
        .await
        .expect_err("no supervisor");
}
