//! Goal: changes of keys can be followed as the documentation says. Method: a server that tells of them, and one that does
//! not.

use std::time::Duration;

use redis_steward::{Database, PubSubEvent, Subscription};
use tokio::time::timeout;

use super::{message, next, publish};
use crate::common::{RedisServer, Rig, left_out_on_embedded, words};

async fn follow(main: &Database) -> Subscription {
    let sessions = ["__keyspace@0__:session:*", "news"];
    main.psubscribe(sessions).await.expect("confirmed")
}

async fn run(main: &Database, command: &str) {
    main.query::<()>(words(command)).await.expect("done");
}

#[tokio::test]
async fn changes_of_keys_are_messages_where_the_server_tells_of_them() {
    if left_out_on_embedded() {
        return;
    }
    let server = RedisServer::builder()
        .arg("notify-keyspace-events", "KA")
        .start();
    let rig = Rig::on(server, |main| main).await;
    let mut changes = follow(&rig.main).await;
    for command in ["SET session:1 a", "SET other b", "DEL session:1"] {
        run(&rig.main, command).await;
    }
    let PubSubEvent::Message {
        channel, payload, ..
    } = next(&mut changes).await
    else {
        panic!("no message");
    };
    assert_eq!(&channel[..], b"__keyspace@0__:session:1");
    assert_eq!(&payload[..], b"set");
    assert_eq!(message(&mut changes).await, "del");
    drop(changes);
    rig.end().await;
}

#[tokio::test]
async fn elsewhere_a_change_brings_no_message() {
    let rig = Rig::start().await;
    let mut changes = follow(&rig.main).await;
    run(&rig.main, "SET session:probe 1").await;
    // Had the change been told, it would be there before this one.
    publish(&rig.server, "news", "1");
    assert_eq!(message(&mut changes).await, "1");
    let more = timeout(Duration::from_millis(1), changes.next()).await;
    assert!(more.is_err(), "{more:?}");
    drop(changes);
    rig.end().await;
}
