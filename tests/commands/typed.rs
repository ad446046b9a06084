//! Goal: every kind of command, pipeline, value and error works through the async handle. Method: a
//! real server, over TCP and over a Unix socket; values are written, read back through the handle and
//! past it, and compared.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::{
    AsyncCommands, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value,
    streams::{StreamReadOptions, StreamReadReply},
};
use redis_steward::{Config, Database, Error, Execution, Supervisor};

use crate::common::{RedisServer, Script, ScriptedServer, eventually_async, proc};

const SOON: Duration = Duration::from_secs(10);
/// For tests that move much data in a debug build.
const LONG: Duration = Duration::from_secs(120);

#[tokio::test]
async fn typed_commands_of_every_family_work_over_tcp() {
    let rig = Rig::start(RedisServer::start()).await;
    every_family(&rig).await;
    rig.end().await;
}

#[tokio::test]
async fn typed_commands_of_every_family_work_over_a_unix_socket() {
    let rig = Rig::start(RedisServer::builder().unix().start()).await;
    every_family(&rig).await;
    rig.end().await;
}

async fn every_family(rig: &Rig) {
    strings_and_keys(rig.main.clone())
        .await
        .expect("strings and keys");
    hashes_and_lists(rig.main.clone())
        .await
        .expect("hashes and lists");
    sets_and_sorted_sets(rig.main.clone())
        .await
        .expect("sets and sorted sets");
    streams(rig.main.clone()).await.expect("streams");
    bits_and_places(rig.main.clone())
        .await
        .expect("bit and geo commands");
    scans(rig.main.clone()).await.expect("scans");
}

async fn strings_and_keys(mut main: Database) -> RedisResult<()> {
    main.set::<_, _, ()>("s", "forty").await?;
    assert_eq!(main.append::<_, _, usize>("s", "-two").await?, 9);
    assert_eq!(main.getrange::<_, String>("s", 0, 4).await?, "forty");
    assert_eq!(main.get::<_, Option<String>>("nothing").await?, None);
    main.mset::<_, _, ()>(&[("a", 1), ("b", 2)]).await?;
    let found: Vec<Option<i64>> = main.mget(&["a", "nothing", "b"]).await?;
    assert_eq!(found, [Some(1), None, Some(2)]);
    assert_eq!(main.incr::<_, _, i64>("a", 41).await?, 42);
    assert!(main.expire::<_, bool>("a", 100).await?);
    assert!((1..=100).contains(&main.ttl::<_, i64>("a").await?));
    assert!(main.persist::<_, bool>("a").await?);
    assert!(!main.rename_nx::<_, _, bool>("a", "b").await?);
    assert_eq!(main.del::<_, usize>(&["a", "b", "nothing"]).await?, 2);
    assert!(!main.exists::<_, bool>("a").await?);
    Ok(())
}

async fn hashes_and_lists(mut main: Database) -> RedisResult<()> {
    main.hset_multiple::<_, _, _, ()>("h", &[("one", 1), ("two", 2)])
        .await?;
    assert_eq!(main.hincr::<_, _, _, i64>("h", "two", 20).await?, 22);
    let all: HashMap<String, i64> = main.hgetall("h").await?;
    assert_eq!(
        all,
        HashMap::from([("one".to_owned(), 1), ("two".to_owned(), 22)])
    );
    main.rpush::<_, _, ()>("l", &["b", "c"]).await?;
    assert_eq!(main.lpush::<_, _, usize>("l", "a").await?, 3);
    assert_eq!(
        main.lrange::<_, Vec<String>>("l", 0, -1).await?,
        ["a", "b", "c"]
    );
    assert_eq!(
        main.lpop::<_, Option<String>>("l", None).await?.as_deref(),
        Some("a")
    );
    Ok(())
}

async fn sets_and_sorted_sets(mut main: Database) -> RedisResult<()> {
    main.sadd::<_, _, ()>("set", &["x", "y", "x"]).await?;
    let members: HashSet<String> = main.smembers("set").await?;
    assert_eq!(members, HashSet::from(["x".to_owned(), "y".to_owned()]));
    assert!(main.sismember::<_, _, bool>("set", "x").await?);
    main.zadd_multiple::<_, _, _, ()>("z", &[(1.5, "low"), (f64::INFINITY, "high")])
        .await?;
    let ranked: Vec<(String, f64)> = main.zrange_withscores("z", 0, -1).await?;
    assert_eq!(
        ranked,
        [("low".to_owned(), 1.5), ("high".to_owned(), f64::INFINITY)]
    );
    assert_eq!(
        main.zscore::<_, _, Option<f64>>("z", "low").await?,
        Some(1.5)
    );
    assert_eq!(
        main.zscore::<_, _, Option<f64>>("z", "stranger").await?,
        None
    );
    Ok(())
}

async fn streams(mut main: Database) -> RedisResult<()> {
    main.xgroup_create_mkstream::<_, _, _, ()>("x", "group", "$")
        .await?;
    let id: String = main.xadd("x", "*", &[("field", "value")]).await?;
    assert_eq!(main.xlen::<_, usize>("x").await?, 1);
    let read = StreamReadOptions::default()
        .group("group", "consumer")
        .count(10);
    let reply: StreamReadReply = main.xread_options(&["x"], &[">"], &read).await?;
    let entry = &reply.keys[0].ids[0];
    assert_eq!(
        (&entry.id, entry.get("field")),
        (&id, Some("value".to_owned()))
    );
    assert_eq!(main.xack::<_, _, _, usize>("x", "group", &[id]).await?, 1);
    Ok(())
}

async fn bits_and_places(mut main: Database) -> RedisResult<()> {
    assert!(!main.setbit::<_, bool>("bits", 7, true).await?);
    assert_eq!(main.bitcount::<_, usize>("bits").await?, 1);
    assert_eq!(main.bit_not::<_, _, usize>("flipped", "bits").await?, 1);
    assert_eq!(main.get::<_, Vec<u8>>("flipped").await?, [0xfe]);
    let sicily = [
        (13.361389, 38.115556, "Palermo"),
        (15.087269, 37.502669, "Catania"),
    ];
    assert_eq!(main.geo_add::<_, _, usize>("geo", &sicily[..]).await?, 2);
    let km = redis::geo::Unit::Kilometers;
    let apart: f64 = main.geo_dist("geo", "Palermo", "Catania", km).await?;
    assert!((166.2..166.4).contains(&apart), "{apart}");
    Ok(())
}

async fn scans(mut main: Database) -> RedisResult<()> {
    let expected: BTreeSet<String> = (0..1000).map(|n| format!("scan:{n}")).collect();
    let mut pipeline = redis::pipe();
    for key in &expected {
        pipeline
            .set(key, 0)
            .ignore()
            .hset("scanned", key, 0)
            .ignore();
    }
    main.pipeline::<()>(&pipeline).await?;
    let mut found = BTreeSet::new();
    let mut keys = main.scan_match::<_, String>("scan:*").await?;
    while let Some(key) = keys.next_item().await {
        found.insert(key?);
    }
    drop(keys);
    assert_eq!(found, expected);
    let mut fields = main.hscan::<_, (String, i64)>("scanned").await?;
    let mut found = BTreeSet::new();
    while let Some(field) = fields.next_item().await {
        found.insert(field?.0);
    }
    assert_eq!(found, expected);
    Ok(())
}

#[tokio::test]
async fn the_other_commands_of_a_failing_pipeline_run() {
    let rig = Rig::start(RedisServer::start()).await;
    for atomic in [false, true] {
        let mut pipeline = redis::pipe();
        pipeline.set("text", "x").incr("text", 1).set("after", 7);
        if atomic {
            pipeline.atomic();
        }
        let error = rig
            .main
            .pipeline::<Value>(&pipeline)
            .await
            .expect_err("INCR of a text");
        assert_eq!(error.execution(), Execution::Executed, "{error}");
        let Error::Server { error, .. } = error else {
            panic!("{error}")
        };
        let failed = error.into_server_errors().expect("errors of commands");
        let failed: Vec<_> = failed
            .iter()
            .map(|(index, error)| (*index, error.code()))
            .collect();
        assert_eq!(failed, [(1, "ERR")], "atomic: {atomic}");
        assert_eq!(rig.server.cli(&["GETDEL", "after"]), "7");

        let each: Vec<RedisResult<Value>> = rig
            .main
            .pipeline(pipeline.ignore_errors())
            .await
            .expect("results");
        let succeeded: Vec<_> = each.iter().map(Result::is_ok).collect();
        assert_eq!(succeeded, [true, false, true], "atomic: {atomic}");
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_half_of_a_transaction() {
    let rig = Rig::start(RedisServer::start()).await;
    let writers: Vec<_> = (0..50)
        .map(|_| {
            let main = rig.main.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    let mut both = redis::pipe();
                    both.atomic().incr("left", 1).incr("right", 1);
                    let (left, right): (i64, i64) = main.pipeline(&both).await.expect("numbers");
                    assert_eq!(left, right);
                }
            })
        })
        .collect();
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (main, done) = (rig.main.clone(), done.clone());
        tokio::spawn(async move {
            while !done.load(Relaxed) {
                let mut transaction = redis::pipe();
                transaction.atomic().get("left").get("right");
                let (left, right): (Option<i64>, Option<i64>) =
                    main.pipeline(&transaction).await.expect("numbers");
                assert_eq!(left, right);
            }
        })
    };
    for writer in writers {
        writer.await.expect("a writer's replies belong together");
    }
    done.store(true, Relaxed);
    reader.await.expect("the keys never differ");
    assert_eq!(rig.server.cli(&["MGET", "left", "right"]), "2500\n2500");
    rig.end().await;
}

#[tokio::test]
async fn an_empty_pipeline_has_no_replies() {
    let rig = Rig::start(RedisServer::start()).await;
    let replies: Vec<Value> = rig.main.pipeline(redis::pipe()).await.expect("nothing");
    assert!(replies.is_empty());
    let replies: Vec<Value> = rig
        .main
        .pipeline(redis::pipe().atomic())
        .await
        .expect("nothing");
    assert!(replies.is_empty());
    redis::pipe()
        .exec_async(&mut rig.main.clone())
        .await
        .expect("nothing");
    rig.end().await;
}

#[tokio::test]
async fn keys_and_values_may_hold_any_bytes() {
    let rig = Rig::start(RedisServer::start()).await;
    let mut main = rig.main.clone();
    let every_byte: Vec<u8> = (0..=255).collect();
    let nasty: [&[u8]; 7] = [
        b"",
        b"\0",
        b"\r\n",
        b"x\r\nFLUSHALL\r\n",
        b"$-1\r\n",
        b"*1\r\n$8\r\nFLUSHALL\r\n",
        &every_byte,
    ];
    for (key, value) in nasty
        .iter()
        .flat_map(|key| nasty.map(|value| (*key, value)))
    {
        main.set::<_, _, ()>(key, value)
            .await
            .expect("a key is set");
        let read: Option<Vec<u8>> = main.get(key).await.expect("a value");
        assert_eq!(read.as_deref(), Some(value), "{key:?}");
    }
    assert_eq!(rig.server.cli(&["DBSIZE"]), nasty.len().to_string());
    rig.end().await;
}

#[tokio::test]
async fn a_value_of_64_megabytes_comes_back_unchanged() {
    let rig = Rig::start(RedisServer::start()).await;
    let mut main = rig.main.with_timeout(LONG);
    let value: Vec<u8> = (0..64 << 20)
        .map(|at: u32| (at ^ at >> 8 ^ at >> 16) as u8)
        .collect();
    main.set::<_, _, ()>("big", &value)
        .await
        .expect("it is set");
    let read: Vec<u8> = main.get("big").await.expect("it is read");
    assert!(
        read == value,
        "another value of {} bytes came back",
        read.len()
    );
    rig.end().await;
}

#[tokio::test]
async fn a_pipeline_of_100_000_commands_gets_its_replies_in_order() {
    let rig = Rig::start(RedisServer::start()).await;
    let mut pipeline = redis::pipe();
    for _ in 0..100_000 {
        pipeline.incr("n", 1);
    }
    let replies: Vec<u32> = rig
        .main
        .with_timeout(LONG)
        .pipeline(&pipeline)
        .await
        .expect("replies");
    assert!(replies.into_iter().eq(1..=100_000));
    rig.end().await;
}

#[tokio::test]
async fn an_error_tells_whether_the_command_ran() {
    let rig = Rig::start(RedisServer::start()).await;
    rig.server.cli(&["SET", "text", "abc"]);

    let number = rig.main.query::<i64>(redis::cmd("GET").arg("text")).await;
    let error = number.expect_err("no number");
    assert!(matches!(error, Error::Conversion { .. }), "{error}");
    assert_eq!(
        (error.execution(), error.code()),
        (Execution::Executed, None)
    );
    let several = rig
        .main
        .pipeline::<Vec<i64>>(redis::pipe().get("text"))
        .await;
    assert!(
        matches!(several, Err(Error::Conversion { .. })),
        "{several:?}"
    );

    let pushed = rig
        .main
        .execute(redis::cmd("LPUSH").arg("text").arg("x"))
        .await;
    let error = pushed.expect_err("no list");
    assert!(matches!(error, Error::Server { .. }), "{error}");
    assert_eq!(
        (error.execution(), error.code()),
        (Execution::NotExecuted, Some("WRONGTYPE"))
    );
    let error = RedisError::from(error);
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Extension, Some("WRONGTYPE"))
    );
    assert!(Error::from_redis(&error).is_none());

    let error = rig
        .main
        .execute(&redis::cmd("GET"))
        .await
        .expect_err("no key");
    let kind = RedisError::from(error).kind();
    assert_eq!(kind, ErrorKind::Server(ServerErrorKind::ResponseError));
    rig.end().await;
}

#[tokio::test]
async fn errors_of_the_crate_survive_conversion_to_redis_errors() {
    let rig = Rig::start(RedisServer::start()).await;
    let mut main = rig.main.clone();
    let error = main
        .with_timeout(Duration::ZERO)
        .get::<_, Value>("k")
        .await
        .expect_err("no time");
    assert!(error.is_timeout(), "{error}");
    let own = Error::from_redis(&error).expect("an error of the crate");
    assert!(
        own.is_timeout() && own.execution() == Execution::NotSent,
        "{own}"
    );

    rig.supervisor.shutdown(SOON).await;
    let error = main
        .get::<_, Value>("k")
        .await
        .expect_err("it was shut down");
    assert!(error.is_io_error(), "{error}");
    let own = Error::from_redis(&error).expect("an error of the crate");
    assert!(
        matches!(
            own,
            Error::ShuttingDown {
                execution: Execution::NotSent,
                ..
            }
        ),
        "{own}"
    );
    let again = RedisError::from(own.clone());
    assert_eq!(
        Error::from_redis(&again).map(ToString::to_string),
        Some(own.to_string())
    );
    rig.end().await;
}

#[tokio::test]
async fn an_unknown_database_is_an_error_that_lists_the_known_ones() {
    let server = RedisServer::start();
    let database = |number| redis_steward::DatabaseConfig::from_url(server.url_with_db(number));
    let config = Config::new()
        .database("zoo", database(1))
        .database("ark", database(2));
    let rig = Rig::spawn(server, config, "ark").await;
    let error = rig.supervisor.database("arc").expect_err("there is none");
    assert_eq!(
        error.to_string(),
        r#"there is no database "arc"; the configured ones are ark, zoo"#
    );
    assert_eq!(error.execution(), Execution::NotSent);
    rig.end().await;
}

#[tokio::test]
async fn arguments_echoed_by_the_server_are_not_shown() {
    let rig = Rig::start(RedisServer::start()).await;
    let mut secret = redis::cmd("AUTHX");
    secret.arg("user").arg("hunter2secret");
    let mut pipeline = redis::pipe();
    pipeline.ping().add_command(secret.clone());
    let errors = [
        rig.main.execute(&secret).await.expect_err("it is unknown"),
        rig.main
            .query::<String>(&secret)
            .await
            .expect_err("it is unknown"),
        rig.main
            .pipeline::<Value>(&pipeline)
            .await
            .expect_err("it is unknown"),
        rig.main
            .pipeline::<Value>(pipeline.clone().atomic())
            .await
            .expect_err("it is unknown"),
    ];
    for error in errors {
        assert!(matches!(error, Error::Server { .. }), "{error}");
        let shown = format!("{error} {error:?}");
        let error = RedisError::from(error);
        let shown = format!(
            "{shown} {error} {error:?} {:?}",
            error.clone().into_server_errors()
        );
        assert!(
            shown.contains("AUTHX") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
    let each: Vec<RedisResult<Value>> = rig
        .main
        .pipeline(pipeline.ignore_errors())
        .await
        .expect("results");
    assert!(
        each[1].is_err() && !format!("{each:?}").contains("hunter2"),
        "{each:?}"
    );
    rig.end().await;
}

#[tokio::test]
async fn a_conversion_error_does_not_show_the_value() {
    let rig = Rig::start(RedisServer::start()).await;
    rig.server.cli(&["SET", "session", "hunter2secret"]);
    let mut get = redis::cmd("GET");
    get.arg("session");
    let mut pipeline = redis::pipe();
    pipeline.add_command(get.clone());
    let errors = [
        rig.main.query::<i64>(&get).await.expect_err("no number"),
        rig.main
            .query::<HashMap<String, String>>(&get)
            .await
            .expect_err("no map"),
        rig.main
            .pipeline::<(i64,)>(&pipeline)
            .await
            .expect_err("no number"),
    ];
    for error in errors {
        assert!(matches!(error, Error::Conversion { .. }), "{error}");
        let shown = format!("{error} {error:?} {:?}", RedisError::from(error.clone()));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    rig.end().await;
}

/// A script can place an error reply anywhere in its result.
#[tokio::test]
async fn server_text_is_sanitized_everywhere_in_a_reply() {
    let rig = Rig::start(RedisServer::start()).await;
    let text = "'ERR \\27[31m, with args beginning with: hunter2secret'";
    for script in [
        format!("return redis.error_reply({text})"),
        format!("return {{redis.error_reply({text})}}"),
        format!("return {{{{redis.error_reply({text})}}}}"),
    ] {
        let mut eval = redis::cmd("EVAL");
        eval.arg(&script).arg(0);
        let mut plain = redis::pipe();
        plain.add_command(eval.clone());
        let mut atomic = plain.clone();
        atomic.atomic();
        let mut main = rig.main.clone();
        for (way, error) in [
            (
                "command",
                eval.query_async::<Vec<String>>(&mut main)
                    .await
                    .expect_err("it fails"),
            ),
            (
                "pipeline",
                plain
                    .query_async::<Value>(&mut main)
                    .await
                    .expect_err("it fails"),
            ),
            (
                "transaction",
                atomic
                    .query_async::<Value>(&mut main)
                    .await
                    .expect_err("it fails"),
            ),
        ] {
            let shown = format!("{error} {error:?} {}", error.detail().unwrap_or_default());
            let is_harmless = !shown.contains("hunter2") && !shown.contains('\x1b');
            assert!(is_harmless, "{way} of {script}: {shown:?}");
        }
    }
    rig.end().await;
}

#[tokio::test]
async fn server_text_is_sanitized_in_the_cause_of_an_aborted_transaction() {
    let hostile = Script::answering(|command| match &command[0][..] {
        b"MULTI" => b"+OK\r\n".to_vec(),
        b"EXEC" => b"-EXECABORT discarded\r\n".to_vec(),
        _ => b"-\x1b[31mRED\rcode and text\r\n".to_vec(),
    });
    let server = ScriptedServer::start([hostile]);
    let supervisor = Supervisor::spawn(Config::single(server.url()))
        .await
        .expect("a supervisor");
    let main = supervisor.database("main").expect("the database");
    let error = main
        .pipeline::<Value>(redis::pipe().atomic().get("k"))
        .await
        .expect_err("aborted");
    assert_eq!(error.code(), Some("EXECABORT"));
    assert!(
        !error.to_string().contains(char::is_control),
        "{:?}",
        error.to_string()
    );
    supervisor.shutdown(SOON).await;
    assert_eq!(proc::sockets_to(server.port()), 0);
}

/// A server, a supervisor, and the handle of one database.
struct Rig {
    server: RedisServer,
    supervisor: Supervisor,
    main: Database,
}

impl Rig {
    async fn start(server: RedisServer) -> Self {
        let config = Config::single(server.url());
        Self::spawn(server, config, "main").await
    }

    async fn spawn(server: RedisServer, config: Config, name: &str) -> Self {
        let supervisor = Supervisor::spawn(config).await.expect("a supervisor");
        supervisor.ready(SOON).await.expect("a healthy database");
        let main = supervisor.database(name).expect("the database");
        Self {
            server,
            supervisor,
            main,
        }
    }

    /// Shuts down, and checks that no call, socket or client is left.
    async fn end(self) {
        // The permit of a command is returned a moment after its reply is delivered.
        eventually_async(SOON, "nothing is in flight", || {
            let databases = self.supervisor.statistics().databases;
            databases
                .values()
                .all(|stats| (stats.in_flight, stats.in_flight_bytes) == (0, 0))
        })
        .await;
        let report = self.supervisor.shutdown(SOON).await;
        assert_eq!(report.unfinished, 0);
        if self.server.url().starts_with("redis://") {
            assert_eq!(proc::sockets_to(self.server.port()), 0);
        }
        eventually_async(SOON, "the server has no client", || {
            self.server.clients_named("redis-steward").is_empty()
        })
        .await;
    }
}
