//! Goal: when `subscribe` returns, nothing that is published is missed. Method: a message is published at once, by
//! another client, and the server says that it has reached one client.

use std::time::Duration;

use redis_steward::{Error, PubSubEvent, Stage, Topic};
use tokio::time::timeout;

use super::{SOON, message, next, numsub, publish, text};
use crate::common::{Rig, eventually_async, older_than};

#[tokio::test]
async fn a_message_after_the_confirmation_comes() {
    let rig = Rig::start().await;
    let mut first = rig.main.subscribe(["first"]).await.expect("confirmed");
    for round in 0..50 {
        let channel = format!("orders:{round}");
        let mut orders = rig.main.subscribe([&channel]).await.expect("confirmed");
        assert_eq!(publish(&rig.server, &channel, "new"), 1);
        assert_eq!(message(&mut orders).await, "new");
        first.subscribe([&channel]).await.expect("confirmed");
        assert_eq!(publish(&rig.server, &channel, "again"), 1);
        assert_eq!(message(&mut first).await, "again");
    }
    drop(first);
    rig.end().await;
}

#[tokio::test]
async fn channels_and_patterns_are_told_apart() {
    let rig = Rig::start().await;
    let mut all = rig.main.psubscribe(["o*", "x*"]).await.expect("confirmed");
    all.subscribe(["orders"]).await.expect("confirmed");
    assert_eq!(publish(&rig.server, "orders", "1"), 2);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let PubSubEvent::Message {
            channel,
            pattern,
            payload,
        } = next(&mut all).await
        else {
            panic!("no message");
        };
        assert_eq!(
            (text(&channel), text(&payload)),
            ("orders".into(), "1".into())
        );
        seen.push(pattern.map(|pattern| text(&pattern)));
    }
    seen.sort();
    assert_eq!(seen, [None, Some("o*".to_owned())]);
    drop(all);
    rig.end().await;
}

#[tokio::test]
async fn sharded_channels_are_others() {
    if older_than(7, 0, "the command SSUBSCRIBE") {
        return;
    }
    let rig = Rig::start().await;
    let mut shards = rig.main.ssubscribe(["a", "b"]).await.expect("confirmed");
    let mut channel = rig.main.subscribe(["a"]).await.expect("confirmed");
    assert_eq!(rig.server.cli(&["SPUBLISH", "a", "sharded"]), "1");
    assert_eq!(publish(&rig.server, "a", "plain"), 1);
    assert_eq!(rig.server.cli(&["SPUBLISH", "b", "other"]), "1");
    assert_eq!(message(&mut shards).await, "sharded");
    assert_eq!(message(&mut shards).await, "other");
    assert_eq!(message(&mut channel).await, "plain");
    shards.sunsubscribe(["a"]);
    eventually_async(SOON, "one is left", || {
        rig.server.cli(&["PUBSUB", "SHARDNUMSUB", "a", "b"]) == "a\n0\nb\n1"
    })
    .await;
    drop((shards, channel));
    rig.end().await;
}

#[tokio::test]
async fn a_channel_that_is_dropped_says_nothing_more() {
    let rig = Rig::start().await;
    let mut both = rig.main.subscribe(["a", "b"]).await.expect("confirmed");
    both.unsubscribe(["a"]);
    eventually_async(SOON, "it is ended", || numsub(&rig.server, "a") == "a 0").await;
    publish(&rig.server, "a", "1");
    publish(&rig.server, "b", "2");
    assert_eq!(message(&mut both).await, "2");
    // Ended and begun again without a pause.
    for round in 0..20 {
        both.unsubscribe(["b"]);
        both.subscribe(["b"]).await.expect("confirmed");
        assert_eq!(publish(&rig.server, "b", &round.to_string()), 1);
        assert_eq!(message(&mut both).await, round.to_string());
    }
    drop(both);
    rig.end().await;
}

#[tokio::test]
async fn a_future_that_is_dropped_subscribes_nothing() {
    let rig = Rig::start().await;
    let mut kept = rig.main.subscribe(["kept"]).await.expect("confirmed");
    rig.server.freeze();
    let brief = Duration::from_millis(50);
    assert!(timeout(brief, kept.subscribe(["given up"])).await.is_err());
    assert!(
        timeout(brief, rig.main.subscribe(["given up"]))
            .await
            .is_err()
    );
    rig.server.thaw();
    kept.subscribe(["last"]).await.expect("confirmed");
    eventually_async(SOON, "only two are left", || {
        numsub(&rig.server, "given up") == "given up 0"
    })
    .await;
    assert_eq!(rig.stats().subscriptions.topics, 2);
    drop(kept);
    rig.end().await;
}

#[tokio::test]
async fn a_subscription_that_is_not_confirmed_in_time_is_taken_back() {
    let rig = Rig::start().await;
    let mut kept = rig.main.subscribe(["kept"]).await.expect("confirmed");
    rig.server.freeze();
    let hasty = rig.main.with_timeout(Duration::from_millis(100));
    let late = hasty
        .subscribe(["late"])
        .await
        .expect_err("no confirmation");
    assert!(
        matches!(
            late,
            Error::TimedOut {
                stage: Stage::Reply,
                ..
            }
        ),
        "{late:?}"
    );
    rig.server.thaw();
    kept.subscribe(["last"]).await.expect("confirmed");
    eventually_async(SOON, "it is taken back", || {
        numsub(&rig.server, "late") == "late 0"
    })
    .await;
    drop(kept);
    rig.end().await;
}

#[tokio::test]
async fn no_channel_is_no_wait_and_names_are_bytes() {
    let rig = Rig::start().await;
    let mut none = rig.main.subscribe(&[] as &[&str]).await.expect("nothing");
    assert_eq!(rig.stats().subscriptions.connections, 0);
    let name: &[u8] = b"\xff\r\n \0";
    none.subscribe([name]).await.expect("confirmed");
    let sent: i64 = rig
        .main
        .query(redis::cmd("PUBLISH").arg(name).arg(b"\0\xfe".as_slice()))
        .await
        .expect("published");
    assert_eq!(sent, 1);
    let PubSubEvent::Message {
        channel, payload, ..
    } = next(&mut none).await
    else {
        panic!("no message");
    };
    assert_eq!((&channel[..], &payload[..]), (name, b"\0\xfe".as_slice()));
    assert_eq!(
        Topic::Channel(channel).to_string(),
        "channel \"\u{fffd}\\r\\n \\0\""
    );
    drop(none);
    rig.end().await;
}
