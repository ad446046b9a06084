//! A database on `memory://` does all that one on a network does.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use redis::{AsyncCommands, Commands, RedisResult, streams::StreamReadReply};
use redis_steward::{Config, Database, DatabaseConfig, MemoryServer, MemoryValue, Supervisor};

use crate::{common::spawn, until_blocked};

async fn on(server: &MemoryServer) -> (Supervisor, Database) {
    spawn(DatabaseConfig::from_url(server.url())).await
}

#[tokio::test]
async fn typed_commands_pipelines_and_transactions_run() {
    let server = MemoryServer::new();
    let (supervisor, mut main) = on(&server).await;
    let () = main.set("a", 1).await.expect("OK");
    let sum: i64 = main.incr("a", 41).await.expect("a number");
    assert_eq!(sum, 42);
    let mut pipeline = redis::pipe();
    pipeline.atomic().set("b", "x").ignore().get("b").get("a");
    let both: (String, i64) = main.pipeline(pipeline).await.expect("two values");
    assert_eq!(both, ("x".into(), 42));
    let () = main
        .zadd_multiple("z", &[(1.5, "one"), (0.5, "two")])
        .await
        .expect("OK");
    let ranked: Vec<(String, f64)> = main.zrange_withscores("z", 0, -1).await.expect("members");
    assert_eq!(ranked, [("two".into(), 0.5), ("one".into(), 1.5)]);
    let id: String = main.xadd("s", "*", &[("f", "v")]).await.expect("an id");
    let read: StreamReadReply = main.xread(&["s"], &["0"]).await.expect("entries");
    assert_eq!(read.keys[0].ids[0].id, id);
    assert_eq!(server.get("a"), Some(b"42".to_vec()));
    let dump = server.dump(0);
    assert_eq!(
        dump[&b"z"[..]],
        MemoryValue::SortedSet(vec![(b"two".to_vec(), 0.5), (b"one".to_vec(), 1.5)])
    );
    assert_eq!(server.command_counts()["incrby"], 1);
    supervisor.shutdown(Duration::from_secs(5)).await;
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_blocking_command_waits_on_a_connection_of_its_own() {
    let server = MemoryServer::new();
    let (_supervisor, main) = on(&server).await;
    let waiting = tokio::spawn({
        let mut main = main.clone();
        async move {
            let popped: RedisResult<(String, String)> = main.blpop("queue", 0.0).await;
            popped
        }
    });
    let mut main = main;
    until_blocked(&main).await;
    let () = main.rpush("queue", "job").await.expect("OK");
    let popped = waiting.await.expect("it ends").expect("a job");
    assert_eq!(popped, ("queue".into(), "job".into()));
}

#[tokio::test]
async fn counters_of_many_tasks_lose_nothing() {
    let server = MemoryServer::new();
    let (_supervisor, main) = on(&server).await;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let mut main = main.clone();
            tokio::spawn(async move {
                for _ in 0..100 {
                    let _: i64 = main.incr("counter", 1).await.expect("a number");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("it ends");
    }
    assert_eq!(server.get("counter"), Some(b"5000".to_vec()));
}

#[tokio::test]
async fn a_watched_key_that_changes_runs_the_transaction_again() {
    let server = MemoryServer::new();
    let (_supervisor, main) = on(&server).await;
    let other = main.clone();
    let attempts = AtomicU32::new(0);
    let seen: (i64,) = main
        .transaction(&["w"], |mut loan, mut pipe| {
            let attempts = &attempts;
            let mut other = other.clone();
            async move {
                let value: Option<i64> = loan.query(redis::cmd("GET").arg("w")).await?;
                if attempts.fetch_add(1, Relaxed) == 0 {
                    let () = other.set("w", 10).await?;
                }
                pipe.incr("w", value.unwrap_or(0));
                Ok::<_, redis::RedisError>(())
            }
        })
        .await
        .expect("a transaction");
    assert_eq!(seen, (20,));
}

#[tokio::test]
async fn threads_use_it_as_well() {
    let server = MemoryServer::new();
    let (_supervisor, main) = on(&server).await;
    let value = tokio::task::spawn_blocking(move || {
        let mut main = main.blocking();
        let () = main.set("a", "x").expect("OK");
        main.get::<_, String>("a").expect("a value")
    });
    assert_eq!(value.await.expect("it ends"), "x");
}

#[tokio::test]
async fn a_name_is_shared_and_no_name_is_not() {
    let named = |number| DatabaseConfig::from_url("memory://of-handles").number(number);
    let config = Config::new()
        .database("one", named(0))
        .database("same", named(0))
        .database("other", named(1))
        .database("private", DatabaseConfig::from_url("memory://"));
    let supervisor = Supervisor::spawn(config).await.expect("it starts");
    let mut one = supervisor.database("one").expect("it is known");
    let () = one.set("a", "x").await.expect("OK");
    for (name, expected) in [("same", Some("x")), ("other", None), ("private", None)] {
        let mut database = supervisor.database(name).expect("it is known");
        let value: Option<String> = database.get("a").await.expect("a reply");
        assert_eq!(value.as_deref(), expected, "{name}");
    }
    assert_eq!(
        MemoryServer::named("of-handles").get("a"),
        Some(b"x".to_vec())
    );
}

#[tokio::test]
async fn users_log_in() {
    let server = MemoryServer::new();
    server.set_password("secret");
    server.set_user("app", "other");
    for (user, password, is_let_in) in [
        ("", "secret", true),
        ("app", "other", true),
        ("app", "wrong", false),
    ] {
        let url = server.url().replace("//", &format!("//{user}:{password}@"));
        let config = Config::new().database("main", DatabaseConfig::from_url(url));
        let supervisor = Supervisor::spawn(config).await.expect("it starts");
        let mut main = supervisor.database("main").expect("it is known");
        let pong: RedisResult<String> = main.ping().await;
        assert_eq!(pong.is_ok(), is_let_in, "{user} {password}: {pong:?}");
    }
}
