//! Goal: after each loss of the connection all subscriptions are there again, once each, and each subscriber is told of a
//! gap in its place. Method: kills, restarts, a partition, and operators.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use redis_steward::{Config, DatabaseConfig, GapCause, PubSubEvent, Reason};

use super::{SOON, gap, message, next, numsub, publish, subscribers};
use crate::common::{FaultProxy, Mode, RedisServer, Rig, eventually_async, spawn};

/// Ends the connection of subscribers at the server.
fn kill(server: &RedisServer) {
    assert_eq!(server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]), "1");
}

#[tokio::test]
async fn row_200_a_killed_connection_is_a_gap_in_its_place() {
    let rig = Rig::start().await;
    let mut news = rig.main.subscribe(["a", "b"]).await.expect("confirmed");
    let mut other = rig.main.psubscribe(["b*"]).await.expect("confirmed");
    for round in 1..=3 {
        publish(&rig.server, "a", "before");
        publish(&rig.server, "b", "before");
        kill(&rig.server);
        let told = next_gap_after(&mut news, &["before", "before"]).await;
        assert!(matches!(told, GapCause::ConnectionLost(_)), "{told:?}");
        next_gap_after(&mut other, &["before"]).await;
        for channel in ["a", "b"] {
            assert_eq!(numsub(&rig.server, channel), format!("{channel} 1"));
        }
        publish(&rig.server, "b", "after");
        assert_eq!(message(&mut news).await, "after");
        assert_eq!(message(&mut other).await, "after");
        let stats = rig.stats().subscriptions;
        assert_eq!((stats.lost, stats.gaps), (round, 2 * round));
    }
    assert_eq!(subscribers(&rig.server), 1);
    drop((news, other));
    rig.end().await;
}

async fn next_gap_after(
    subscription: &mut redis_steward::Subscription,
    messages: &[&str],
) -> GapCause {
    for expected in messages {
        assert_eq!(message(subscription).await, *expected);
    }
    gap(subscription).await
}

#[tokio::test]
async fn row_200_all_subscriptions_come_back_in_one_write() {
    let rig = Rig::start().await;
    let names: Vec<_> = (0..1_000).map(|number| format!("c{number}")).collect();
    let mut many = rig.main.subscribe(&names).await.expect("confirmed");
    kill(&rig.server);
    gap(&mut many).await;
    assert_eq!(rig.server.commandstat("subscribe"), 2_000);
    let mut seen = BTreeSet::new();
    for name in &names {
        assert_eq!(publish(&rig.server, name, name), 1);
        seen.insert(message(&mut many).await);
    }
    assert_eq!(seen.len(), names.len());
    drop(many);
    rig.end().await;
}

#[tokio::test]
async fn row_201_a_restart_of_the_server_is_survived() {
    let rig = Rig::start().await;
    let mut news = rig.main.subscribe(["news"]).await.expect("confirmed");
    rig.server.kill();
    let told = next(&mut news).await;
    assert!(matches!(told, PubSubEvent::Interrupted { .. }), "{told:?}");
    rig.server.restart();
    while !matches!(next(&mut news).await, PubSubEvent::Gap { .. }) {}
    // By way of the pool, which has come back as well.
    let publish = redis::cmd("PUBLISH").arg("news").arg("again").take();
    let patient = rig.main.patient().with_timeout(SOON);
    assert_eq!(patient.query::<i64>(publish).await.expect("published"), 1);
    assert_eq!(message(&mut news).await, "again");
    drop(news);
    rig.end().await;
}

#[tokio::test]
async fn row_201_a_long_outage_is_told_with_the_circuit() {
    let rig = Rig::start().await;
    let mut dropped = rig.main.subscribe(&[] as &[&str]).await.expect("nothing");
    let mut news = rig.main.subscribe(["news"]).await.expect("confirmed");
    rig.server.kill();
    let is_open = |event: &PubSubEvent| {
        matches!(event, PubSubEvent::Interrupted { cause: GapCause::CircuitOpen(reason), .. }
            if *reason == Reason::Unreachable)
    };
    while !is_open(&next(&mut news).await) {}
    let refused = rig
        .main
        .subscribe(["more"])
        .await
        .expect_err("an open circuit");
    assert!(
        matches!(refused, redis_steward::Error::CircuitOpen { .. }),
        "{refused:?}"
    );
    // Added while nothing is there, by a caller that waits.
    let patient = rig.main.patient().with_timeout(SOON);
    let waiting = tokio::spawn(async move { patient.subscribe(["late"]).await });
    // Dropped while nothing is there, and begun again after it.
    news.unsubscribe(["news"]);
    rig.server.restart();
    let mut late = waiting.await.expect("no panic").expect("confirmed");
    news.subscribe(["news"]).await.expect("confirmed");
    dropped.subscribe(["news"]).await.expect("confirmed");
    assert_eq!(publish(&rig.server, "news", "1"), 1);
    assert_eq!(publish(&rig.server, "late", "2"), 1);
    assert_eq!(message(&mut late).await, "2");
    assert_eq!(message(&mut dropped).await, "1");
    while message_or_gap(&mut news).await != Some("1".into()) {}
    drop((news, late, dropped));
    rig.end().await;
}

async fn message_or_gap(subscription: &mut redis_steward::Subscription) -> Option<String> {
    match next(subscription).await {
        PubSubEvent::Message { payload, .. } => Some(super::text(&payload)),
        PubSubEvent::Gap { .. } | PubSubEvent::Interrupted { .. } => None,
        other => panic!("unexpected: {other:?}"),
    }
}

#[tokio::test]
async fn row_202_a_silent_link_is_found() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let (supervisor, main) = spawn(DatabaseConfig::from_url(proxy.url())).await;
    let mut news = main.subscribe(["news"]).await.expect("confirmed");
    // A link that is silent and alive is kept.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(
        supervisor.statistics().databases["main"].subscriptions.lost,
        0
    );
    let began = Instant::now();
    proxy.set(Mode::BlackHole);
    let told = next(&mut news).await;
    let took = began.elapsed();
    assert!(matches!(told, PubSubEvent::Interrupted { .. }), "{told:?}");
    assert!(took < Duration::from_secs(8), "{took:?}");
    proxy.heal();
    while !matches!(next(&mut news).await, PubSubEvent::Gap { .. }) {}
    publish(&server, "news", "again");
    assert_eq!(message(&mut news).await, "again");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_203_an_isolated_database_is_silent_until_its_reset() {
    let rig = Rig::start().await;
    let mut news = rig.main.subscribe(["news"]).await.expect("confirmed");
    rig.supervisor.isolate("main").await.expect("isolated");
    let told = next(&mut news).await;
    assert!(
        matches!(
            told,
            PubSubEvent::Interrupted {
                cause: GapCause::Isolated,
                ..
            }
        ),
        "{told:?}"
    );
    eventually_async(SOON, "it is closed", || subscribers(&rig.server) == 0).await;
    rig.supervisor.reset("main").await.expect("reset");
    let PubSubEvent::Gap { cause, .. } = next(&mut news).await else {
        panic!("no gap");
    };
    assert_eq!(cause, GapCause::Isolated);
    publish(&rig.server, "news", "again");
    assert_eq!(message(&mut news).await, "again");
    drop(news);
    rig.end().await;
}

#[tokio::test]
async fn row_204_changed_settings_lead_to_another_server() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let (supervisor, main) = spawn(DatabaseConfig::from_url(old.url())).await;
    let mut news = main.subscribe(["news"]).await.expect("confirmed");
    let config = |server: &RedisServer, timeout| {
        let main = DatabaseConfig::from_url(server.url()).command_timeout(timeout);
        Config::new().database("main", main)
    };
    // What does not belong to a connection changes nothing.
    supervisor
        .apply(config(&old, Duration::from_secs(7)))
        .await
        .expect("applied");
    publish(&old, "news", "at the old one");
    assert_eq!(message(&mut news).await, "at the old one");
    supervisor
        .apply(config(&new, Duration::from_secs(7)))
        .await
        .expect("applied");
    assert_eq!(gap(&mut news).await, GapCause::Reconfigured);
    assert_eq!(publish(&new, "news", "at the new one"), 1);
    assert_eq!(message(&mut news).await, "at the new one");
    assert_eq!(publish(&old, "news", "to nothing"), 0);
    supervisor.shutdown(SOON).await;
}

/// A client whose subscriptions were dropped while its connection was down must not find the channel blocked later.
#[tokio::test]
async fn row_205_a_channel_that_was_dropped_during_an_outage_can_be_subscribed_again() {
    let rig = Rig::start().await;
    let mut kept = rig.main.subscribe(["kept"]).await.expect("confirmed");
    for round in 0..10 {
        let news = rig.main.subscribe(["news"]).await.expect("confirmed");
        kill(&rig.server);
        drop(news);
        let mut again = rig.main.subscribe(["news"]).await.expect("confirmed");
        gap(&mut kept).await;
        // Its own request may have been made on the lost connection or on the next one.
        assert_eq!(publish(&rig.server, "news", &round.to_string()), 1);
        while message_or_gap(&mut again).await != Some(round.to_string()) {}
    }
    drop(kept);
    rig.end().await;
}
