//! Faults by remote control are what handles see of a real server in trouble.

use std::time::Duration;

use redis::{AsyncCommands, RedisResult, cmd};
use redis_steward::{
    Database, DatabaseConfig, Error, EvictionPolicy, HealthState, MemoryServer, Supervisor,
};

use crate::common::{eventually_async, spawn};

const SOON: Duration = Duration::from_secs(10);

async fn on(server: &MemoryServer) -> (Supervisor, Database) {
    spawn(DatabaseConfig::from_url(server.url())).await
}

fn is_up(supervisor: &Supervisor) -> bool {
    supervisor.statistics().databases["main"].health == HealthState::Healthy
}

#[tokio::test]
async fn a_stopped_server_opens_the_circuit_and_a_started_one_closes_it() {
    let server = MemoryServer::new();
    let (supervisor, mut main) = on(&server).await;
    let () = main.set("a", 1).await.expect("OK");
    server.stop();
    assert_eq!(server.connections(), 0);
    eventually_async(SOON, "the circuit is open", || !is_up(&supervisor)).await;
    let refused = main.query::<i64>(cmd("GET").arg("a")).await;
    assert!(
        matches!(refused, Err(Error::CircuitOpen { .. })),
        "{refused:?}"
    );
    server.start();
    eventually_async(SOON, "the circuit is closed", || is_up(&supervisor)).await;
    assert_eq!(main.get::<_, i64>("a").await.expect("the data stays"), 1);
}

#[tokio::test]
async fn a_frozen_server_answers_late() {
    let server = MemoryServer::new();
    let (_supervisor, main) = on(&server).await;
    server.freeze();
    let hurried = main.with_timeout(Duration::from_millis(50));
    let late = hurried.query::<String>(&cmd("PING")).await;
    assert!(matches!(late, Err(Error::TimedOut { .. })), "{late:?}");
    let waiting = tokio::spawn({
        let main = main.clone();
        async move { main.query::<i64>(cmd("INCR").arg("a")).await }
    });
    server.thaw();
    assert_eq!(waiting.await.expect("it ends").expect("a number"), 1);
}

#[tokio::test]
async fn dropped_connections_are_replaced() {
    let server = MemoryServer::new();
    let (_supervisor, mut main) = on(&server).await;
    let () = main.set("a", 1).await.expect("OK");
    assert!(server.drop_connections() > 0);
    assert_eq!(
        main.get::<_, i64>("a").await.expect("a read is sent again"),
        1
    );
}

#[tokio::test]
async fn errors_are_those_of_redis() {
    let server = MemoryServer::new();
    let (_supervisor, mut main) = on(&server).await;
    let main = &mut main;
    let code = |result: RedisResult<()>| result.expect_err("an error").code().map(str::to_owned);
    server.set_out_of_memory(true);
    assert_eq!(code(main.set("a", 1).await).as_deref(), Some("OOM"));
    let _: Option<i64> = main.get("a").await.expect("a read needs no memory");
    server.set_out_of_memory(false);
    server.fail_with("MYERR of this test", &["SET", "get"]);
    assert_eq!(code(main.set("a", 1).await).as_deref(), Some("MYERR"));
    let () = main.del("a").await.expect("another command");
    server.heal();
    let () = main.set("a", 1).await.expect("all is well again");
}

#[tokio::test]
async fn a_cut_reply_ends_its_connection() {
    let server = MemoryServer::new();
    let (_supervisor, mut main) = on(&server).await;
    let () = main.set("a", "x".repeat(1000)).await.expect("OK");
    server.cut_after(100);
    let value: String = main.get("a").await.expect("a read is sent again");
    assert_eq!(value.len(), 1000);
}

#[tokio::test]
async fn a_delay_is_that_of_replies() {
    let server = MemoryServer::new();
    let (_supervisor, main) = on(&server).await;
    server.set_delay(Duration::from_millis(100));
    let began = std::time::Instant::now();
    let () = main.query(cmd("SET").arg("a").arg(1)).await.expect("OK");
    assert!(began.elapsed() >= Duration::from_millis(100));
    assert_eq!(server.get("a"), Some(b"1".to_vec()));
}

#[tokio::test]
async fn bounds_refuse_or_evict() {
    let server = MemoryServer::new();
    let (_supervisor, mut main) = on(&server).await;
    server.set_max_memory(100_000, EvictionPolicy::NoEviction);
    let mut refused = false;
    for number in 0..200 {
        let set: RedisResult<()> = main.set(number, "x".repeat(1000)).await;
        refused |= set.is_err_and(|error| error.code() == Some("OOM"));
    }
    assert!(refused);
    server.set_max_memory(100_000, EvictionPolicy::AllKeysLru);
    let () = main.set("new", "x").await.expect("another key goes");
    assert_eq!(server.get("new"), Some(b"x".to_vec()));
    server.set_max_memory(0, EvictionPolicy::NoEviction);
    server.set_max_keys(10);
    let set: RedisResult<()> = main.set("newer", "x").await;
    assert_eq!(set.expect_err("no place").code(), Some("OOM"));
}
