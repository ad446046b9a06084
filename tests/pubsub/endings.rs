//! Goal: a stream says why it ends. Method: shutdowns and removals.

use redis_steward::{Config, DatabaseConfig, EndCause, Error, PubSubEvent};
use tokio::time::timeout;

use super::{SOON, message, next, publish, subscribers};
use crate::common::{RedisServer, Rig, eventually_async};

#[tokio::test]
async fn a_shutdown_is_the_last_event() {
    let rig = Rig::start().await;
    let mut news = rig.main.subscribe(["news"]).await.expect("confirmed");
    publish(&rig.server, "news", "1");
    eventually_async(SOON, "it has come", || {
        rig.stats().subscriptions.messages == 1
    })
    .await;
    rig.supervisor.shutdown(SOON).await;
    assert_eq!(message(&mut news).await, "1");
    assert_eq!(
        next(&mut news).await,
        PubSubEvent::Ended(EndCause::ShuttingDown)
    );
    assert_eq!(news.next().await, None);
    assert_eq!(news.next().await, None);
    let late = rig
        .main
        .subscribe(["news"])
        .await
        .expect_err("it has ended");
    assert!(matches!(late, Error::ShuttingDown { .. }), "{late:?}");
    assert_eq!(subscribers(&rig.server), 0);
}

#[tokio::test]
async fn a_shutdown_during_an_outage_ends_the_gap() {
    let rig = Rig::start().await;
    let mut news = rig.main.subscribe(["news"]).await.expect("confirmed");
    rig.server.kill();
    assert!(matches!(
        next(&mut news).await,
        PubSubEvent::Interrupted { .. }
    ));
    let patient = rig.main.patient().with_timeout(SOON);
    let waiting = tokio::spawn(async move { patient.subscribe(["late"]).await });
    eventually_async(SOON, "it waits", || {
        rig.stats().subscriptions.subscribers == 2
    })
    .await;
    rig.supervisor.shutdown(SOON).await;
    let late = waiting.await.expect("no panic").expect_err("it has ended");
    assert!(matches!(late, Error::ShuttingDown { .. }), "{late:?}");
    let ended = async {
        let mut last = None;
        while let Some(event) = news.next().await {
            last = Some(event);
        }
        last
    };
    let last = timeout(SOON, ended).await.expect("an end");
    assert_eq!(last, Some(PubSubEvent::Ended(EndCause::ShuttingDown)));
}

#[tokio::test]
async fn a_database_that_is_removed_says_so() {
    let server = RedisServer::start();
    let database = || DatabaseConfig::from_url(server.url());
    let both = Config::new()
        .database("a", database())
        .database("b", database());
    let supervisor = redis_steward::Supervisor::spawn(both).await.expect("spawn");
    let a = supervisor.database("a").expect("a");
    let mut stays = supervisor
        .database("b")
        .expect("b")
        .subscribe(["news"])
        .await
        .expect("b");
    let mut goes = a.subscribe(["news"]).await.expect("confirmed");
    supervisor
        .apply(Config::new().database("b", database()))
        .await
        .expect("applied");
    assert_eq!(next(&mut goes).await, PubSubEvent::Ended(EndCause::Removed));
    assert_eq!(goes.next().await, None);
    assert!(a.subscribe(["news"]).await.is_err());
    eventually_async(SOON, "one is left", || subscribers(&server) == 1).await;
    publish(&server, "news", "1");
    assert_eq!(message(&mut stays).await, "1");
    supervisor.shutdown(SOON).await;
}
