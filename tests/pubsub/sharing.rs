//! Goal: all subscribers of a database share one connection, and a channel is subscribed once. Method: the server's own
//! lists of clients and channels.

use super::{SOON, message, numsub, publish, subscribers};
use crate::common::{Rig, eventually_async};

#[tokio::test]
async fn one_connection_from_the_first_subscription_to_the_last() {
    let rig = Rig::start().await;
    assert_eq!(subscribers(&rig.server), 0);
    let mut all = Vec::new();
    for number in 0..10 {
        let mut each = rig.main.subscribe(["news"]).await.expect("confirmed");
        each.psubscribe([format!("only:{number}:*")])
            .await
            .expect("confirmed");
        all.push(each);
    }
    assert_eq!(subscribers(&rig.server), 1);
    assert_eq!(numsub(&rig.server, "news"), "news 1");
    assert_eq!(rig.server.commandstat("subscribe"), 1);
    let stats = rig.stats().subscriptions;
    assert_eq!((stats.connections, stats.opened), (1, 1));
    assert_eq!((stats.subscribers, stats.topics), (10, 11));

    assert_eq!(publish(&rig.server, "news", "to all"), 1);
    publish(&rig.server, "only:3:x", "to one");
    for each in &mut all {
        assert_eq!(message(each).await, "to all");
    }
    assert_eq!(message(&mut all[3]).await, "to one");
    let stats = rig.stats().subscriptions;
    assert_eq!((stats.messages, stats.delivered, stats.dropped), (2, 11, 0));

    // The last listener ends a channel, and no other one does.
    let last = all.pop().expect("ten");
    all.clear();
    eventually_async(SOON, "its pattern is left", || {
        rig.server.cli(&["PUBSUB", "NUMPAT"]) == "1"
    })
    .await;
    assert_eq!(numsub(&rig.server, "news"), "news 1");
    drop(last);
    eventually_async(SOON, "it is closed", || {
        subscribers(&rig.server) == 0 && rig.stats().subscriptions.connections == 0
    })
    .await;
    // And opened anew.
    let mut again = rig.main.subscribe(["news"]).await.expect("confirmed");
    publish(&rig.server, "news", "later");
    assert_eq!(message(&mut again).await, "later");
    let stats = rig.stats().subscriptions;
    assert_eq!((stats.opened, stats.lost, stats.gaps), (2, 0, 0));
    drop(again);
    rig.end().await;
}

#[tokio::test]
async fn subscribers_of_many_tasks_at_once_share_as_well() {
    let rig = Rig::start().await;
    let mut tasks = Vec::new();
    for number in 0..50 {
        let main = rig.main.clone();
        tasks.push(tokio::spawn(async move {
            let mut each = main.subscribe(["news", "more"]).await.expect("confirmed");
            each.subscribe([format!("own:{number}")])
                .await
                .expect("confirmed");
            each
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.expect("no panic"));
    }
    assert_eq!(subscribers(&rig.server), 1);
    assert_eq!(rig.server.commandstat("subscribe"), 52);
    assert_eq!(publish(&rig.server, "more", "1"), 1);
    for each in &mut all {
        assert_eq!(message(each).await, "1");
    }
    drop(all);
    rig.end().await;
}

#[tokio::test]
async fn the_connection_takes_no_place_of_the_pool() {
    let rig = Rig::with(|main| main.max_connections(2)).await;
    let news = rig.main.subscribe(["news"]).await.expect("confirmed");
    let lease = rig.main.lease().await.expect("a lease");
    let pool = rig.pool();
    assert_eq!((pool.open, pool.max), (2, 2));
    assert_eq!(rig.stats().subscriptions.connections, 1);
    assert_eq!(rig.server.clients_named("redis-steward").len(), 3);
    drop((news, lease));
    rig.end().await;
}
