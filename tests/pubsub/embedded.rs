//! Goal: `memory://` has subscribers as a server does. Method: everything on an embedded server.

use redis_steward::{Config, DatabaseConfig, MemoryServer, PubSubEvent, Supervisor};

use super::{SOON, gap, message, next};
use crate::common::{eventually_async, spawn};

/// The actor that starts the connection may start after the first subscriber has come.
#[tokio::test]
async fn a_subscriber_from_the_start_has_one_connection() {
    let server = MemoryServer::new();
    for _ in 0..50 {
        let config = Config::new().database("main", DatabaseConfig::from_url(server.url()));
        let supervisor = Supervisor::spawn(config).await.expect("spawn");
        let main = supervisor.database("main").expect("main");
        let mut news = main.subscribe(["news"]).await.expect("confirmed");
        let publish = redis::cmd("PUBLISH").arg("news").arg("1").take();
        assert_eq!(main.query::<i64>(publish).await.expect("published"), 1);
        assert_eq!(message(&mut news).await, "1");
        let stats = supervisor.statistics().databases["main"].subscriptions;
        assert_eq!((stats.opened, stats.gaps), (1, 0));
        supervisor.shutdown(SOON).await;
    }
}

#[tokio::test]
async fn an_embedded_server_delivers_messages() {
    let server = MemoryServer::new();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let mut news = main.subscribe(["news"]).await.expect("confirmed");
    news.psubscribe(["n*"]).await.expect("confirmed");
    news.ssubscribe(["news"]).await.expect("confirmed");
    for (name, copies) in [("PUBLISH", 2), ("SPUBLISH", 1)] {
        let publish = redis::cmd(name).arg("news").arg(name).take();
        let reached: i64 = main.query(publish).await.expect("published");
        assert_eq!(reached, copies);
        for _ in 0..copies {
            assert_eq!(message(&mut news).await, name);
        }
    }
    server.stop();
    server.start();
    gap(&mut news).await;
    let publish = redis::cmd("PUBLISH").arg("news").arg("again").take();
    let patient = main.patient().with_timeout(SOON);
    assert_eq!(patient.query::<i64>(publish).await.expect("published"), 2);
    assert_eq!(message(&mut news).await, "again");
    assert!(matches!(next(&mut news).await, PubSubEvent::Message { .. }));
    drop(news);
    let stats = || supervisor.statistics().databases["main"].subscriptions;
    eventually_async(SOON, "it is closed", || stats().connections == 0).await;
    supervisor.shutdown(SOON).await;
}
