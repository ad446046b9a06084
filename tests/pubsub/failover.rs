//! Goal: a subscriber follows the primary. Method: a failover of Sentinel, after which the old primary is a replica, which
//! would deliver the messages of the new one late or not at all.

use redis_steward::{DatabaseConfig, GapCause, PubSubEvent};

use super::{SOON, message, next, publish};
use crate::common::{Sentinels, eventually_async, left_out_on_embedded, spawn};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_210_subscribers_follow_a_failover() {
    if left_out_on_embedded() {
        return;
    }
    let site = Sentinels::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(site.url())).await;
    let mut news = main.subscribe(["news"]).await.expect("confirmed");
    let old = &site.servers[0];
    publish(old, "news", "at the old one");
    assert_eq!(message(&mut news).await, "at the old one");
    site.fail_over();
    let told = next(&mut news).await;
    let PubSubEvent::Interrupted { cause, .. } = told else {
        panic!("no interruption: {told:?}");
    };
    // The old one may end its connections before the sentinels tell.
    assert!(
        matches!(cause, GapCause::Moved | GapCause::ConnectionLost(_)),
        "{cause:?}"
    );
    let new = site.primary_after(old.port());
    while !matches!(next(&mut news).await, PubSubEvent::Gap { .. }) {}
    // The subscription may have been at the old one again, for a moment.
    eventually_async(4 * SOON, "it is at the new one", || {
        new.cli(&["PUBSUB", "NUMSUB", "news"]) == "news\n1"
    })
    .await;
    assert_eq!(publish(new, "news", "at the new one"), 1);
    loop {
        match next(&mut news).await {
            PubSubEvent::Message { payload, .. } => {
                assert_eq!(&payload[..], b"at the new one");
                break;
            }
            PubSubEvent::Interrupted { .. } | PubSubEvent::Gap { .. } => {}
            other => panic!("unexpected: {other:?}"),
        }
    }
    supervisor.shutdown(SOON).await;
}
