//! Goal: a slow subscriber loses what its policy says, is told exactly how much, and slows no other. Method: subscribers
//! that do not read while many messages are published.

use redis_steward::{EndCause, Error, PubSubEvent, Subscription, WhenFull};

use super::{SOON, message, next};
use crate::common::{Rig, eventually_async};

/// Publishes the numbers up to this one.
async fn publish_numbers(rig: &Rig, numbers: u64) {
    let before = rig.stats().subscriptions.messages;
    let mut pipeline = redis::pipe();
    for number in 1..=numbers {
        pipeline.cmd("PUBLISH").arg("news").arg(number).ignore();
    }
    rig.main.pipeline::<()>(pipeline).await.expect("published");
    eventually_async(SOON, "all have come", || {
        rig.stats().subscriptions.messages == before + numbers
    })
    .await;
}

async fn bounded(rig: &Rig, messages: usize, when_full: WhenFull) -> Subscription {
    let builder = rig
        .main
        .subscription()
        .max_messages(messages)
        .when_full(when_full);
    builder.subscribe(["news"]).await.expect("confirmed")
}

async fn take_numbers(subscription: &mut Subscription, from: u64, to: u64) {
    for number in from..=to {
        assert_eq!(message(subscription).await, number.to_string());
    }
}

#[tokio::test]
async fn row_207_each_policy_counts_exactly() {
    let rig = Rig::start().await;
    let mut oldest = bounded(&rig, 10, WhenFull::DropOldest).await;
    let mut newest = bounded(&rig, 10, WhenFull::DropNewest).await;
    let mut ends = bounded(&rig, 10, WhenFull::End).await;
    let mut quick = bounded(&rig, 1_000, WhenFull::DropOldest).await;
    publish_numbers(&rig, 100).await;

    assert_eq!(next(&mut oldest).await, PubSubEvent::Lagged(90));
    take_numbers(&mut oldest, 91, 100).await;
    take_numbers(&mut newest, 1, 10).await;
    assert_eq!(next(&mut newest).await, PubSubEvent::Lagged(90));
    take_numbers(&mut ends, 1, 10).await;
    assert_eq!(
        next(&mut ends).await,
        PubSubEvent::Ended(EndCause::Overflowed)
    );
    assert_eq!(ends.next().await, None);
    let late = ends.subscribe(["more"]).await.expect_err("it has ended");
    assert!(matches!(late, Error::Overloaded { .. }), "{late:?}");
    take_numbers(&mut quick, 1, 100).await;

    let stats = rig.stats().subscriptions;
    assert_eq!(stats.dropped, 90 + 90 + 1);
    // 100 for the quick one, 10 for each other.
    assert_eq!(stats.delivered, 100 + 10 + 10 + 10);
    // They go on afterwards.
    publish_numbers(&rig, 3).await;
    take_numbers(&mut oldest, 1, 3).await;
    take_numbers(&mut newest, 1, 3).await;
    drop((oldest, newest, ends, quick));
    rig.end().await;
}

#[tokio::test]
async fn row_207_the_bound_of_bytes_holds_as_well() {
    let rig = Rig::start().await;
    let builder = rig.main.subscription().max_bytes(1_000);
    let mut few = builder.subscribe(["news"]).await.expect("confirmed");
    let payloads = [400, 400, 400, 2_000, 100].map(|length| "x".repeat(length));
    for payload in &payloads {
        let command = redis::cmd("PUBLISH").arg("news").arg(payload).take();
        let _ = rig.main.query::<i64>(command).await.expect("published");
    }
    eventually_async(SOON, "all have come", || {
        rig.stats().subscriptions.messages == 5
    })
    .await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(match next(&mut few).await {
            PubSubEvent::Message { payload, .. } => payload.len() as i64,
            PubSubEvent::Lagged(dropped) => -(dropped as i64),
            other => panic!("unexpected: {other:?}"),
        });
    }
    // The first made room for the third. The fourth alone is larger than the queue.
    assert_eq!(seen, [-1, 400, 400, -1, 100]);
    drop(few);
    rig.end().await;
}

#[tokio::test]
async fn row_207_a_subscriber_that_never_reads_slows_no_other() {
    let rig = Rig::start().await;
    let idle = rig.main.subscribe(["news"]).await.expect("confirmed");
    let mut quick = rig
        .main
        .subscription()
        .max_messages(usize::MAX)
        .max_bytes(usize::MAX)
        .subscribe(["news"])
        .await
        .expect("confirmed");
    let rounds = 10;
    for _ in 0..rounds {
        publish_numbers(&rig, 5_000).await;
        take_numbers(&mut quick, 1, 5_000).await;
    }
    let stats = rig.stats().subscriptions;
    assert_eq!(stats.lost, 0);
    assert_eq!(stats.dropped, rounds * 5_000 - 4_096);
    drop((idle, quick));
    rig.end().await;
}
