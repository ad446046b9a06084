//! Goal: fred works on the front as on a server, and an outage of the server is an error for it and not a lost
//! connection. Method: its own interfaces, in both versions of the protocol.

use fred::{
    clients::SubscriberClient,
    interfaces::{
        ClientLike, EventInterface, KeysInterface, ListInterface, LuaInterface, PubsubInterface,
        TransactionInterface,
    },
    prelude::Client,
    types::{
        Builder, RespVersion, Value,
        config::{Config, ReconnectPolicy},
    },
};

use crate::{
    common::eventually_async,
    site::{SOON, Site},
};

fn builder(site: &Site, version: RespVersion) -> Builder {
    let mut config = Config::from_url(&site.url()).expect("a URL");
    config.version = version;
    let mut builder = Builder::from_config(config);
    builder.set_policy(ReconnectPolicy::new_constant(0, 20));
    builder
}

async fn connected(site: &Site, version: RespVersion) -> Client {
    let client = builder(site, version).build().expect("a client");
    client.init().await.expect("connected");
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_pipelines_transactions_and_scripts_run() {
    for version in [RespVersion::RESP2, RespVersion::RESP3] {
        let site = Site::start().await;
        let (client, other) = (
            connected(&site, version.clone()).await,
            connected(&site, version).await,
        );
        let () = client.set("a", 1, None, None, false).await.expect("OK");
        let pipeline = client.pipeline();
        for _ in 0..100 {
            let () = pipeline.incr("a").await.expect("queued");
        }
        let counted: Vec<i64> = pipeline.all().await.expect("numbers");
        assert_eq!(counted, (2..102).collect::<Vec<_>>());

        client.watch("a").await.expect("OK");
        let () = other.set("a", 7, None, None, false).await.expect("OK");
        let transaction = client.multi();
        let () = transaction.incr("a").await.expect("queued");
        let aborted: Value = transaction.exec(true).await.expect("an answer");
        assert!(aborted.is_null(), "{aborted:?}");
        client.watch("a").await.expect("OK");
        let transaction = client.multi();
        let () = transaction.incr("a").await.expect("queued");
        let () = transaction.incr("a").await.expect("queued");
        let executed: Vec<i64> = transaction.exec(true).await.expect("numbers");
        assert_eq!(executed, [8, 9]);

        let of_script: i64 = client
            .eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", "a", 5)
            .await
            .expect("a number");
        assert_eq!(of_script, 14);
        let wrong: Result<i64, _> = client.lpush("a", "x").await;
        assert!(wrong.expect_err("a number").details().contains("WRONGTYPE"));

        let popping = client.clone();
        let popped =
            tokio::spawn(async move { popping.blpop::<(String, String), _>("list", 0.0).await });
        let is_popping = || site.supervisor.statistics().databases["main"].pool.in_use == 1;
        eventually_async(SOON, "it blocks", is_popping).await;
        let () = other.rpush("list", "x").await.expect("one");
        let popped = popped.await.expect("no panic").expect("an element");
        assert_eq!(popped, ("list".to_owned(), "x".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_an_error_and_the_connection_stays() {
    let site = Site::start().await;
    let client = connected(&site, RespVersion::RESP3).await;
    let () = client.set("a", 1, None, None, false).await.expect("OK");
    let mut reconnected = client.reconnect_rx();
    site.server.kill();
    let is_open = async {
        loop {
            let failed: Result<i64, _> = client.get("a").await;
            if failed.is_err_and(|error| error.details().contains("CIRCUITOPEN")) {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, is_open)
        .await
        .expect("the circuit opens");
    site.server.restart();
    site.supervisor
        .ready(SOON)
        .await
        .expect("the server is back");
    let () = client.set("a", 2, None, None, false).await.expect("OK");
    let found: i64 = client.get("a").await.expect("a value");
    assert_eq!(found, 2);
    assert!(
        reconnected.try_recv().is_err(),
        "it never lost its connection"
    );
}

async fn subscribed(site: &Site, version: RespVersion) -> SubscriberClient {
    let subscriber = builder(site, version).build_subscriber_client();
    let subscriber = subscriber.expect("a client");
    subscriber.init().await.expect("connected");
    // It subscribes again after a reconnection.
    let _managing = subscriber.manage_subscriptions();
    subscriber.subscribe("news").await.expect("subscribed");
    subscriber.psubscribe("new?").await.expect("subscribed");
    // It does not wait for the confirmations.
    let patterns = || site.server.cli(&["PUBSUB", "NUMPAT"]);
    eventually_async(SOON, "it is subscribed", || patterns() == "1").await;
    subscriber
}

/// Publishes until the subscriber gets messages.
async fn hears_again(site: &Site, subscriber: &SubscriberClient) {
    let mut messages = subscriber.message_rx();
    let has_message = || {
        site.server.cli(&["PUBLISH", "news", "again"]);
        messages
            .try_recv()
            .is_ok_and(|message| message.value.as_str().as_deref() == Some("again"))
    };
    eventually_async(SOON, "it hears again", has_message).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_gets_messages_and_subscribes_again_after_a_loss() {
    for version in [RespVersion::RESP2, RespVersion::RESP3] {
        let mut site = Site::start().await;
        let client = connected(&site, version.clone()).await;
        let subscriber = subscribed(&site, version).await;
        let mut messages = subscriber.message_rx();
        for number in 0..100 {
            let heard: i64 = client.publish("news", number).await.expect("a number");
            assert_eq!(heard, 2);
            for _ in 0..2 {
                let message = tokio::time::timeout(SOON, messages.recv()).await;
                let message = message.expect("in time").expect("a message");
                assert_eq!(message.value.as_i64(), Some(number));
            }
        }
        site.kill_subscribers();
        hears_again(&site, &subscriber).await;
        site.restart_front().await;
        hears_again(&site, &subscriber).await;
        let works_again = async {
            while client
                .set::<(), _, _>("a", 1, None, None, false)
                .await
                .is_err()
            {}
        };
        tokio::time::timeout(SOON, works_again)
            .await
            .expect("it reconnects");
    }
}
