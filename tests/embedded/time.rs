//! Time of the embedded server.

use std::time::Duration;

use redis::AsyncCommands;
use redis_steward::{DatabaseConfig, MemoryServer};

use crate::{
    common::{eventually_async, spawn},
    until_blocked,
};

#[tokio::test]
async fn keys_expire_when_time_is_moved_on() {
    let server = MemoryServer::new();
    let (_supervisor, mut main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let () = main.set_ex("a", "x", 60).await.expect("OK");
    server.advance(Duration::from_secs(59));
    assert!(
        server
            .ttl("a")
            .is_some_and(|left| left <= Duration::from_secs(1))
    );
    server.advance(Duration::from_secs(1));
    assert_eq!(server.keys(0), Vec::<Vec<u8>>::new());
    assert_eq!(
        main.get::<_, Option<String>>("a").await.expect("a reply"),
        None
    );
}

#[tokio::test]
async fn commands_that_wait_end_when_time_is_moved_on() {
    let server = MemoryServer::new();
    let (_supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let waiting = tokio::spawn({
        let mut main = main.clone();
        async move {
            main.blpop::<_, Option<(String, String)>>("queue", 3600.0)
                .await
        }
    });
    until_blocked(&main).await;
    server.advance(Duration::from_secs(3600));
    assert_eq!(waiting.await.expect("it ends").expect("a reply"), None);
}

/// The time of a paused clock is that of the server.
#[tokio::test(start_paused = true)]
async fn keys_expire_on_a_paused_clock() {
    let server = MemoryServer::new();
    let (_supervisor, mut main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let () = main.set_ex("a", "x", 3600).await.expect("OK");
    tokio::time::advance(Duration::from_secs(3599)).await;
    assert_eq!(
        main.get::<_, Option<String>>("a")
            .await
            .expect("a reply")
            .as_deref(),
        Some("x")
    );
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(
        main.get::<_, Option<String>>("a").await.expect("a reply"),
        None
    );
}

#[tokio::test]
async fn idle_clients_are_disconnected_after_the_timeout_of_config() {
    let server = MemoryServer::new();
    let listener = server.listen("127.0.0.1:0").await.expect("it listens");
    let client = redis::Client::open(listener.url()).expect("a URL");
    let connect = || client.get_multiplexed_async_connection();
    let mut idle = connect().await.expect("a connection");
    let mut configuring = connect().await.expect("a connection");
    let () = redis::cmd("CONFIG")
        .arg(&["SET", "timeout", "60"])
        .query_async(&mut configuring)
        .await
        .expect("OK");
    server.advance(Duration::from_secs(59));
    let () = configuring.ping().await.expect("a reply");
    let () = idle.ping().await.expect("a reply");
    server.advance(Duration::from_secs(30));
    let () = configuring.ping().await.expect("a reply");
    server.advance(Duration::from_secs(30));
    eventually_async(Duration::from_secs(10), "one is gone", || {
        server.connections() == 1
    })
    .await;
    assert!(idle.ping::<()>().await.is_err());
    let () = configuring.ping().await.expect("a reply");
}
