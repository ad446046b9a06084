//! Goal: the connections of the redis crate work on the front as on a server. Method: its blocking connection, its
//! connection manager, and both of its ways to subscribe.

use futures_util::StreamExt;
use redis::{
    AsyncCommands, AsyncConnectionConfig, Client, Commands, PushKind,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::{sync::mpsc, time::timeout};

use crate::site::{SOON, Site};

fn client(site: &Site, parameters: &str) -> Client {
    Client::open(format!("{}/{parameters}", site.url())).expect("a URL")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_connection_runs_optimistic_transactions() {
    let site = Site::start().await;
    let client = client(&site, "");
    let counting = move || {
        let mut connection = client.get_connection().expect("a connection");
        for _ in 0..100 {
            let counted = redis::transaction(&mut connection, &["a"], |connection, pipeline| {
                let before: Option<i64> = connection.get("a")?;
                let next = before.unwrap_or(0) + 1;
                pipeline.set("a", next).ignore().query(connection)
            });
            let () = counted.expect("it counts in the end");
        }
    };
    let counters: Vec<_> = (0..4)
        .map(|_| tokio::task::spawn_blocking(counting.clone()))
        .collect();
    for counter in counters {
        counter.await.expect("no panic");
    }
    assert_eq!(site.server.cli(&["GET", "a"]), "400");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_manager_reconnects_to_the_front() {
    let mut site = Site::start().await;
    let config = ConnectionManagerConfig::new().set_number_of_retries(100);
    let manager = ConnectionManager::new_with_config(client(&site, "?protocol=resp3"), config);
    let mut manager = manager.await.expect("connected");
    let () = manager.set("a", 1).await.expect("OK");
    site.restart_front().await;
    let works_again = async { while manager.get::<_, i64>("a").await.is_err() {} };
    timeout(SOON, works_again).await.expect("it reconnects");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_in_resp2_gets_messages_and_then_an_end() {
    let site = Site::start().await;
    let mut pubsub = client(&site, "")
        .get_async_pubsub()
        .await
        .expect("connected");
    pubsub.subscribe("news").await.expect("subscribed");
    pubsub.psubscribe("new?").await.expect("subscribed");
    site.server.cli(&["PUBLISH", "news", "hello"]);
    let (mut sink, mut stream) = pubsub.split();
    for _ in 0..2 {
        let message = timeout(SOON, stream.next()).await.expect("in time");
        let text: String = message.expect("a message").get_payload().expect("text");
        assert_eq!(text, "hello");
    }
    sink.unsubscribe("news").await.expect("unsubscribed");
    site.kill_subscribers();
    let end = timeout(SOON, stream.next()).await.expect("in time");
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_in_resp3_has_messages_beside_replies() {
    let site = Site::start().await;
    let (sender, mut pushes) = mpsc::unbounded_channel();
    let config = AsyncConnectionConfig::new().set_push_sender(sender);
    let mut connection = client(&site, "?protocol=resp3")
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .expect("connected");
    connection.subscribe("news").await.expect("subscribed");
    for number in 0..50 {
        let _: i64 = connection.publish("news", number).await.expect("a number");
        let () = connection.set("a", number).await.expect("OK");
    }
    let mut numbers = Vec::new();
    while numbers.len() < 50 {
        let push = timeout(SOON, pushes.recv())
            .await
            .expect("in time")
            .expect("a push");
        if push.kind == PushKind::Message {
            let number: i64 = redis::from_redis_value(push.data[1].clone()).expect("a number");
            numbers.push(number);
        }
    }
    assert_eq!(numbers, (0..50).collect::<Vec<_>>());
    connection.unsubscribe("news").await.expect("unsubscribed");
}
