//! Connections that are lost or silent while replies are kept.

use std::time::{Duration, Instant};

use redis::cmd;
use redis_steward::DatabaseConfig;

use crate::{
    Rig, SOON,
    common::{FaultProxy, Mode, RedisServer, eventually_async, spawn},
    until_read,
};

/// Ends the connection that tracks.
fn kill_tracking(server: &RedisServer) {
    let clients = server.client_list();
    let tracking = clients.iter().find(|client| client["flags"].contains('t'));
    let tracking = tracking.expect("a client that tracks");
    server.cli(&["CLIENT", "KILL", "ID", &tracking["id"]]);
}

#[tokio::test]
async fn row_160_a_lost_connection_empties_the_cache() {
    let rig = Rig::start().await;
    for round in 0..10 {
        let before = format!("before {round}");
        rig.server.cli(&["SET", "a", &before]);
        until_read(&rig, "a", Some(&before)).await;
        rig.get_from_cache("a").await;
        kill_tracking(&rig.server);
        let after = format!("after {round}");
        rig.server.cli(&["SET", "a", &after]);
        // Nothing tells of this change but the end of the connection.
        until_read(&rig, "a", Some(&after)).await;
        rig.until_tracking().await;
        assert_eq!(rig.get("a").await.as_deref(), Some(&*after));
        assert_eq!(rig.get_from_cache("a").await.as_deref(), Some(&*after));
    }
    rig.stop().await;
}

#[tokio::test]
async fn row_161_a_restarted_server_is_asked_again() {
    let rig = Rig::with(|main| main.command_timeout(SOON)).await;
    rig.server.cli(&["SET", "a", "1"]);
    rig.get_from_cache("a").await;
    rig.server.restart();
    rig.server.cli(&["SET", "a", "2"]);
    let cached = rig.cached.patient();
    let read = async {
        loop {
            let value: Option<String> = cached.query(cmd("GET").arg("a")).await.expect("a reply");
            if value.as_deref() == Some("2") {
                return;
            }
            assert_eq!(value, Some("1".into()), "it was lost with the server");
        }
    };
    tokio::time::timeout(SOON, read)
        .await
        .expect("the change is seen");
    rig.until_tracking().await;
    assert_eq!(rig.get_from_cache("a").await.as_deref(), Some("2"));
    rig.stop().await;
}

#[tokio::test]
async fn row_162_a_silent_server_is_not_trusted_for_long() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let main = DatabaseConfig::from_url(proxy.url()).command_timeout(Duration::from_secs(2));
    let (supervisor, main) = spawn(main).await;
    let cached = main.cached();
    server.cli(&["SET", "a", "1"]);
    let hits = || {
        let statistics = supervisor.statistics();
        statistics.databases["main"]
            .near_cache
            .clone()
            .expect("a cache")
            .hits
    };
    let read = async || cached.query::<String>(cmd("GET").arg("a")).await;
    let warm = async {
        while hits() == 0 {
            read().await.expect("a reply");
        }
    };
    tokio::time::timeout(SOON, warm).await.expect("a hit");
    // From now on nothing comes from the server, and nobody is told.
    proxy.set(Mode::SwallowReplies);
    let frozen = Instant::now();
    server.cli(&["SET", "a", "2"]);
    while let Ok(value) = read().await {
        assert_eq!(value, "1");
        assert!(
            frozen.elapsed() < Duration::from_secs(10),
            "it is served for ever"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    proxy.heal();
    let back = || {
        supervisor.statistics().databases["main"]
            .near_cache
            .clone()
            .expect("a cache")
            .is_tracking
    };
    eventually_async(SOON, "it tracks again", back).await;
    let seen = async {
        while read().await.ok().as_deref() != Some("2") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, seen)
        .await
        .expect("the change is seen");
    supervisor.shutdown(SOON).await;
}
