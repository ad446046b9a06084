//! Goal: a channel that the server refuses is an error of its own subscriber, and of no other. Method: users with rights
//! to some channels, which are taken from them.

use redis_steward::{DatabaseConfig, Error, Execution, PubSubEvent, Supervisor, Topic};

use super::{SOON, gap, message, next, numsub, publish};
use crate::common::{RedisServer, eventually_async, older_than, spawn};

async fn limited(server: &RedisServer) -> (Supervisor, redis_steward::Database) {
    let rules = "ACL SETUSER limited on >secret +@all ~* resetchannels &open* &shut*";
    let rules: Vec<_> = rules.split(' ').collect();
    assert_eq!(server.cli(&rules), "OK");
    let url = server.url().replace("redis://", "redis://limited:secret@");
    spawn(DatabaseConfig::from_url(url)).await
}

#[tokio::test]
async fn row_206_a_channel_that_may_not_be_subscribed_is_an_error() {
    if older_than(6, 2, "the rights of users to channels") {
        return;
    }
    let server = RedisServer::start();
    let (supervisor, main) = limited(&server).await;
    let mut news = main.subscribe(["open"]).await.expect("confirmed");
    let refused = main.subscribe(["open", "secret"]).await;
    let refused = refused.expect_err("no right to it");
    assert_eq!(refused.code(), Some("NOPERM"));
    assert_eq!(refused.execution(), Execution::NotExecuted);
    let refused = news.subscribe(["open more", "secret", "open last"]).await;
    assert!(matches!(refused, Err(Error::Server { .. })), "{refused:?}");
    eventually_async(SOON, "nothing else is left", || {
        numsub(&server, "open last") == "open last 0"
    })
    .await;
    publish(&server, "open", "1");
    assert_eq!(message(&mut news).await, "1");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_206_a_right_that_is_taken_away_ends_that_channel_alone() {
    if older_than(7, 0, "the end of clients that lose a right to a channel") {
        return;
    }
    let server = RedisServer::start();
    let (supervisor, main) = limited(&server).await;
    let mut both = main.subscribe(["open", "shut"]).await.expect("confirmed");
    let mut open = main.subscribe(["open"]).await.expect("confirmed");
    let rules = ["ACL", "SETUSER", "limited", "resetchannels", "&open*"];
    assert_eq!(server.cli(&rules), "OK");
    gap(&mut open).await;
    gap(&mut both).await;
    match next(&mut both).await {
        PubSubEvent::Refused { topic, error } => {
            assert_eq!(topic, Topic::Channel("shut".into()));
            assert!(error.starts_with("NOPERM"), "{error}");
        }
        other => panic!("no refusal: {other:?}"),
    }
    publish(&server, "open", "1");
    assert_eq!(message(&mut both).await, "1");
    assert_eq!(message(&mut open).await, "1");
    let stats = supervisor.statistics().databases["main"].subscriptions;
    assert_eq!((stats.refused, stats.topics), (1, 1));
    // It may be asked for again.
    assert!(both.subscribe(["shut"]).await.is_err());
    assert_eq!(server.cli(&["ACL", "SETUSER", "limited", "&shut*"]), "OK");
    both.subscribe(["shut"]).await.expect("confirmed");
    publish(&server, "shut", "2");
    assert_eq!(message(&mut both).await, "2");
    supervisor.shutdown(SOON).await;
}
