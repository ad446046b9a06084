//! Goal: an error says whether the command ran, converts to and from errors of the `redis` crate, and
//! never shows a value or raw text of the server. Method: a real server, and a hostile scripted one.

use std::{collections::HashMap, time::Duration};

use redis::{AsyncCommands, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use redis_steward::{Config, DatabaseConfig, Error, Execution, Supervisor};

use crate::common::{RedisServer, Rig, Script, ScriptedServer, proc};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn an_error_tells_whether_the_command_ran() {
    let rig = Rig::start().await;
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
    let rig = Rig::start().await;
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
    let database = |number| DatabaseConfig::from_url(server.url_with_db(number));
    let config = Config::new()
        .database("zoo", database(1))
        .database("ark", database(2));
    let supervisor = Supervisor::spawn(config).await.expect("a supervisor");
    let error = supervisor.database("arc").expect_err("there is none");
    assert_eq!(
        error.to_string(),
        r#"there is no database "arc"; the configured ones are ark, zoo"#
    );
    assert_eq!(error.execution(), Execution::NotSent);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn arguments_echoed_by_the_server_are_not_shown() {
    let rig = Rig::start().await;
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
            shown.replace('`', "'").contains("unknown command '***'") && !shown.contains("hunter2"),
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
    let rig = Rig::start().await;
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
    let rig = Rig::start().await;
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
