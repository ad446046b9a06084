//! Goal: `Database::multiplexed` is a connection of the redis crate that leads to the handle. Method: that crate's
//! commands, pipelines and scripts, in both versions of the protocol, and an outage.

use std::time::Duration;

use redis::{AsyncCommands, aio::ConnectionLike, cmd, pipe};
use redis_steward::{DatabaseConfig, MemoryServer, Protocol};

use crate::common::{RedisServer, eventually_async, spawn};

const SOON: Duration = Duration::from_secs(10);

async fn commands_of_the_redis_crate(protocol: Protocol) {
    let server = RedisServer::start();
    let main = DatabaseConfig::from_url(server.url_with_db(3)).protocol(protocol);
    let (supervisor, main) = spawn(main).await;
    let mut connection = main.multiplexed().await.expect("a connection");
    assert_eq!(connection.get_db(), 3);
    let () = connection.set("a", 1).await.expect("OK");
    let found: i64 = main.query(cmd("GET").arg("a")).await.expect("1");
    assert_eq!(found, 1);
    let (one, two): (i64, i64) = pipe()
        .atomic()
        .incr("a", 1)
        .incr("a", 1)
        .query_async(&mut connection)
        .await
        .expect("two numbers");
    assert_eq!((one, two), (2, 3));
    let scored: Vec<(String, f64)> = {
        let _: () = connection.zadd("z", "m", 1.5).await.expect("1");
        connection.zrange_withscores("z", 0, -1).await.expect("one")
    };
    assert_eq!(scored, [("m".to_owned(), 1.5)]);
    let script = redis::Script::new("return redis.call('GET', KEYS[1])");
    let of_script: i64 = script
        .key("a")
        .invoke_async(&mut connection)
        .await
        .expect("3");
    assert_eq!(of_script, 3);
    let popped: Option<(String, String)> = connection.blpop("none", 0.01).await.expect("none");
    assert_eq!(popped, None);
    let wrong = connection.lpush::<_, _, i64>("a", 1).await;
    assert_eq!(wrong.expect_err("a string").code(), Some("WRONGTYPE"));
    drop((main, supervisor));
    let still: i64 = connection.get("a").await.expect("the supervisor runs on");
    assert_eq!(still, 3);
    drop(connection);
    let clients = || server.clients_named("redis-steward").len();
    eventually_async(SOON, "all has ended", || clients() == 0).await;
}

#[tokio::test]
async fn commands_of_the_redis_crate_run_in_resp2() {
    commands_of_the_redis_crate(Protocol::Resp2).await;
}

#[tokio::test]
async fn commands_of_the_redis_crate_run_in_resp3() {
    commands_of_the_redis_crate(Protocol::Resp3).await;
}

#[tokio::test]
async fn many_clones_have_their_own_replies() {
    let server = MemoryServer::new();
    let (_supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let connection = main.multiplexed().await.expect("a connection");
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..100 {
        let mut connection = connection.clone();
        tasks.spawn(async move {
            for round in 0..100 {
                let (key, value) = (format!("key:{task}"), format!("{task}:{round}"));
                let () = connection.set(&key, &value).await.expect("OK");
                let found: String = connection.get(&key).await.expect("a value");
                assert_eq!(found, value);
            }
        });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn an_outage_is_an_error_with_a_code_and_the_connection_stays() {
    let server = MemoryServer::new();
    let main = DatabaseConfig::from_url(server.url()).command_timeout(Duration::from_millis(500));
    let (supervisor, main) = spawn(main).await;
    let mut connection = main.multiplexed().await.expect("a connection");
    let () = connection.set("a", 1).await.expect("OK");
    server.stop();
    let is_open = async {
        loop {
            let failed = connection.get::<_, i64>("a").await.expect_err("no server");
            if failed.code() == Some("CIRCUITOPEN") {
                let text = failed.to_string();
                assert!(text.contains("the command was not sent"), "{text}");
                break;
            }
        }
    };
    tokio::time::timeout(SOON, is_open)
        .await
        .expect("the circuit opens");
    server.start();
    supervisor.ready(SOON).await.expect("the server is back");
    assert_eq!(connection.get::<_, i64>("a").await.expect("a value"), 1);
    supervisor.shutdown(SOON).await;
    let ended = connection
        .get::<_, i64>("a")
        .await
        .expect_err("all has ended");
    assert!(
        ended.is_connection_dropped() || ended.code().is_some(),
        "{ended}"
    );
}
