//! Goal: subscriptions work in both versions of the protocol, whatever the commands of the database speak. Method: the
//! server's list of clients, and one without HELLO.

use redis_steward::{DatabaseConfig, Protocol};

use super::{SOON, gap, message, numsub, publish, without_resp3};
use crate::common::{RedisServer, eventually_async, older_than, spawn};

/// The version that the connection of subscribers speaks.
fn spoken(server: &RedisServer) -> Option<String> {
    let clients = server.clients_named("redis-steward");
    let is_subscriber = |client: &&std::collections::BTreeMap<String, String>| client["sub"] != "0";
    clients.iter().find(is_subscriber)?.get("resp").cloned()
}

#[tokio::test]
async fn subscribers_speak_resp3_where_the_server_does() {
    if older_than(7, 0, "the version of clients in their list") {
        return;
    }
    let server = RedisServer::start();
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let main = DatabaseConfig::from_url(server.url()).protocol(protocol);
        let (supervisor, main) = spawn(main).await;
        let mut news = main.subscribe(["news"]).await.expect("confirmed");
        assert_eq!(spoken(&server).as_deref(), Some("3"));
        publish(&server, "news", "1");
        assert_eq!(message(&mut news).await, "1");
        supervisor.shutdown(SOON).await;
    }
}

#[tokio::test]
async fn a_server_without_resp3_gets_resp2() {
    let (server, _settings) = without_resp3();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let mut news = main.subscribe(["a", "b"]).await.expect("confirmed");
    if !older_than(7, 0, "the version of clients in their list") {
        assert_eq!(spoken(&server).as_deref(), Some("2"));
    }
    news.psubscribe(["c*"]).await.expect("confirmed");
    for channel in ["a", "b", "cc"] {
        publish(&server, channel, channel);
        assert_eq!(message(&mut news).await, channel);
    }
    // A sign of life is asked for, and its answer is another one than in RESP3.
    let pings = server.commandstat("ping");
    eventually_async(SOON, "two signs of life", || {
        server.commandstat("ping") >= pings + 2
    })
    .await;
    let stats = supervisor.statistics().databases["main"].subscriptions;
    assert_eq!(stats.lost, 0);
    news.unsubscribe(["a", "b"]);
    eventually_async(SOON, "they are ended", || numsub(&server, "b") == "b 0").await;
    news.subscribe(["a"]).await.expect("confirmed");
    server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    gap(&mut news).await;
    publish(&server, "a", "again");
    assert_eq!(message(&mut news).await, "again");
    supervisor.shutdown(SOON).await;
}
