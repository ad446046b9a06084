//! Replies and errors are those of the `redis` crate's own connections, which are asked beside, and an error
//! claims no more than its text proves.

use std::time::{Duration, Instant};

use redis::{
    AsyncCommands, AsyncHotkeysCommands, Cmd, Commands, ConnectionLike as _, ErrorKind,
    HotkeysCommands, HotkeysOptions, Pipeline, RedisError, RedisResult, ServerErrorKind, Value,
    aio::{ConnectionLike, MultiplexedConnection, transaction_async},
    cmd, pipe,
};
use redis_steward::{
    Config, Database, DatabaseConfig, Error, Execute,
    Execution::{self, NotExecuted, NotSent, Unknown},
    Refusal, Supervisor,
};
use tokio::task::spawn_blocking;

use crate::{
    SOON,
    common::{
        self, FaultProxy, Mode, RedisServer, Script, ScriptedServer, eventually_async,
        left_out_on_embedded, older_than, spawn, words,
    },
    error_of, incr, refusal, stats,
};

/// A server that answers every command with this error.
fn refusing(line: &'static str) -> ScriptedServer {
    ScriptedServer::start([Script::answering(move |_| {
        format!("-{line}\r\n").into_bytes()
    })])
}

/// A server that has executed a command, alone or in a pipeline, refuses it in these words.
async fn assert_refused(main: &Database, command: &Cmd, line: &str, execution: Execution) {
    let expected = (code(line), execution, 1);
    let error = error_of(main, command).await;
    assert_eq!(refusal(&error), expected, "{line}");
    let mut pipeline = pipe();
    pipeline.add_command(command.clone());
    let error = main.pipeline::<Value>(pipeline).await.expect_err(line);
    assert_eq!(refusal(&error), expected, "in a pipeline: {line}");
}

fn code(line: &str) -> &str {
    line.split(' ').next().expect("a code")
}

/// A server that queues commands with the first answer, and answers EXEC with the second.
fn transacting(queued: &'static str, exec: &'static str) -> ScriptedServer {
    ScriptedServer::start([Script::answering(move |command| {
        let line = match &command[0][..] {
            b"MULTI" => "+OK",
            b"EXEC" => exec,
            _ => queued,
        };
        format!("{line}\r\n").into_bytes()
    })])
}

async fn oracle(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).expect("a client");
    let connection = client.get_multiplexed_async_connection().await;
    connection.expect("a connection of the redis crate")
}

/// A proxy answers `ERR` after the command has run, and `MIGRATE` fails half-way.
#[tokio::test]
async fn row_58_an_error_that_proves_nothing() {
    for (line, command, execution) in [
        ("ERR Connection timed out", "INCR n", Unknown),
        ("ERR server closed connection", "GET n", Unknown),
        (
            "ERR Target instance replied with error: BUSYKEY",
            "MIGRATE h 1 k 0 9",
            Unknown,
        ),
        (
            "IOERR error or timeout reading to target instance",
            "MIGRATE h 1 k 0 9",
            Unknown,
        ),
        ("ERR", "INCR n", Unknown),
        (
            "ERR unknown command 'INCR', with args beginning with: 'n' ",
            "INCR n",
            NotExecuted,
        ),
        (
            "ERR wrong number of arguments for 'incr' command",
            "INCR n",
            NotExecuted,
        ),
        (
            "ERR value is not an integer or out of range",
            "INCR n",
            NotExecuted,
        ),
        ("ERR no such key", "LSET n 0 x", NotExecuted),
    ] {
        let server = refusing(line);
        let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
        let command = words(command);
        assert_refused(&main, &command, line, execution).await;
        if code(line) == "ERR" {
            assert_refused(&main.idempotent(), &command, line, execution).await;
        }
        supervisor.shutdown(SOON).await;
    }
}

/// A command of a module may call others, of which the second fails.
#[tokio::test]
async fn row_58_errors_of_a_module_are_its_own() {
    for flags in ["+write", "+readonly", "+blocking"] {
        for line in [
            "OOM command not allowed",
            "READONLY You can't write",
            "TRYAGAIN keys",
            "ERR hash value is not an integer",
            "MYMODULE half-way",
        ] {
            let info = format!(
                "*1\r\n*7\r\n$6\r\nmod.do\r\n:-1\r\n*2\r\n{flags}\r\n+module\r\n\
                 :1\r\n:1\r\n:1\r\n*0\r\n"
            );
            let script = Script::answering(move |command| match &command[0][..] {
                b"COMMAND" => info.clone().into_bytes(),
                _ => format!("-{line}\r\n").into_bytes(),
            });
            let server = ScriptedServer::start([script]);
            let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
            assert_refused(&main.idempotent(), &words("MOD.DO k"), line, Unknown).await;
            assert_eq!(server.count("MOD.DO"), 2, "{flags}: {line}");
            supervisor.shutdown(SOON).await;
        }
    }
}

/// A script may answer with any code and any text after it has written.
#[tokio::test]
async fn row_58_errors_of_a_script_are_its_own() {
    if left_out_on_embedded() {
        return;
    }
    if older_than(
        7,
        0,
        "EVAL_RO, FCALL and errors of scripts with a code of their own",
    ) {
        return;
    }
    let rig = common::Rig::start().await;
    let library = "#!lua name=lib\nredis.register_function('fail', function(keys, args) \
        redis.call('INCR', 'ran') return {err=args[1]} end)";
    rig.server.cli(&["FUNCTION", "LOAD", library]);
    let mut runs = 0;
    for line in [
        "MYERR mine",
        "LOADING Redis is loading the dataset in memory",
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "READONLY You can't write against a read only replica.",
        "NOSCRIPT of mine",
        "ERR no such key",
    ] {
        let code = code(line);
        let eval = |name, body| cmd(name).arg(body).arg(0).arg(line).take();
        for command in [
            eval("EVAL_RO", "return {err=ARGV[1]}"),
            eval("EVAL", "redis.call('INCR', 'ran') return {err=ARGV[1]}"),
            cmd("FCALL").arg("fail").arg(0).arg(line).take(),
        ] {
            for main in [&rig.main, &rig.main.idempotent()] {
                let error = error_of(main, &command).await;
                assert_eq!(refusal(&error), (code, Unknown, 1), "{line}");
            }
        }
        runs += 4;
        assert_eq!(rig.server.cli(&["GET", "ran"]), runs.to_string(), "{line}");
    }
    assert_eq!(rig.stats().retried, 0);
    assert_eq!(rig.pool().opened, 1, "no connection was replaced");
    rig.end().await;
}

/// A discarded transaction did not run, whatever the error of its commands proves.
#[tokio::test]
async fn row_58_a_discarded_transaction_did_not_run() {
    let discarded = "-EXECABORT Transaction discarded because of previous errors.";
    let server = transacting("-ERR Connection timed out", discarded);
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let error = main.pipeline::<Value>(pipe().atomic().incr("n", 1)).await;
    assert_eq!(
        refusal(&error.expect_err("discarded")),
        ("EXECABORT", NotExecuted, 1)
    );
    supervisor.shutdown(SOON).await;

    // EXEC itself may have run.
    let server = transacting("+QUEUED", "-ERR Connection timed out");
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let error = main.pipeline::<Value>(pipe().atomic().incr("n", 1)).await;
    assert_eq!(refusal(&error.expect_err("lost")), ("ERR", Unknown, 1));
    supervisor.shutdown(SOON).await;
}

/// What was sent by mistake, as the name of a command or of a member, is in no text.
#[tokio::test]
async fn row_59_errors_that_echo_what_was_sent() {
    let rig = common::Rig::with(|main| main.allow_admin(true)).await;
    rig.main
        .query::<()>(words("XADD stream * f v"))
        .await
        .expect("an entry");
    for (line, useful) in [
        ("hunter2", "unknown command"),
        ("hunter2 hunter2", "unknown command"),
        ("COMMAND hunter2", "unknown subcommand"),
        ("OBJECT hunter2", "unknown subcommand"),
        ("CONFIG SET hunter2 hunter2", "CONFIG"),
        (
            "XREADGROUP GROUP hunter2 hunter2 STREAMS stream >",
            "consumer group",
        ),
        ("GET", "'get' command"),
    ] {
        let command = words(line);
        let mut pipeline = pipe();
        pipeline.ping().add_command(command.clone());
        let errors = [
            error_of(&rig.main, &command).await,
            rig.main.pipeline::<Value>(&pipeline).await.expect_err(line),
            rig.main
                .pipeline::<Value>(pipeline.atomic())
                .await
                .expect_err(line),
            rig.main
                .lease()
                .await
                .expect("a lease")
                .execute(&command)
                .await
                .expect_err(line),
        ];
        for error in errors {
            let shown = format!("{error} {error:?} {:?}", error.server_errors());
            let through_redis = RedisError::from(error);
            let shown = format!("{shown} {through_redis} {:?}", through_redis.detail());
            assert!(!shown.contains("hunter2"), "{shown}");
            // Before 7.0 servers begin some texts with a capital letter.
            let lower = shown.to_lowercase();
            assert!(lower.contains(&useful.to_lowercase()), "{line}: {shown}");
        }
    }
    rig.end().await;
}

/// Everything that can be seen of an error of the `redis` crate.
fn seen(error: &RedisError) -> (ErrorKind, Option<String>, String, Vec<(usize, String)>) {
    let listed = error.clone().into_server_errors();
    let listed = listed.iter().flat_map(|errors| errors.iter());
    let listed = listed
        .map(|(index, error)| (*index, error.to_string()))
        .collect();
    (
        error.kind(),
        error.code().map(Into::into),
        error.to_string(),
        listed,
    )
}

#[tokio::test]
async fn row_60_an_aborted_transaction_is_the_error_of_the_redis_crate() {
    let rig = common::Rig::start().await;
    let mut theirs = oracle(&rig.server.url()).await;
    let (mut main, mut lease) = (rig.main.clone(), rig.main.lease().await.expect("a lease"));
    let mut transaction = pipe();
    transaction.atomic().set("a", 1).cmd("GET").incr("n", 1);
    transaction.cmd("HSET").arg("h").cmd("NOT-A-COMMAND");
    // The name would be shown.
    let masked = |(kind, code, text, list): (_, _, String, Vec<(usize, String)>)| {
        let mask = |text: String| text.replace("NOT-A-COMMAND", "***");
        let list = list.into_iter().map(|(index, text)| (index, mask(text)));
        // The server ends the list of no arguments with a space.
        let text = mask(text).replace("beginning with: )", "beginning with: ***)");
        (
            kind,
            code,
            text,
            list.map(|(index, _)| index).collect::<Vec<_>>(),
        )
    };
    let expected = transaction
        .query_async::<Value>(&mut theirs)
        .await
        .expect_err("aborted");
    assert_eq!(
        expected.kind(),
        ErrorKind::Server(ServerErrorKind::ExecAbort)
    );
    let expected = masked(seen(&expected));
    assert_eq!(expected.3, [1, 3, 4]);

    let through_main = transaction.query_async::<Value>(&mut main).await;
    let through_lease = transaction.query_async::<Value>(&mut lease).await;
    for error in [through_main, through_lease] {
        assert_eq!(masked(seen(&error.expect_err("aborted"))), expected);
    }
    let own = [
        main.pipeline::<Value>(&transaction)
            .await
            .expect_err("aborted"),
        lease
            .pipeline::<Value>(&transaction)
            .await
            .expect_err("aborted"),
    ];
    for error in own {
        assert_eq!(refusal(&error), ("EXECABORT", NotExecuted, 1));
        let refused = error.server_errors().expect("a list");
        let positions: Vec<_> = refused.iter().map(|(index, _)| *index).collect();
        assert_eq!(positions, [1, 3, 4]);
        assert_eq!(masked(seen(&error.into())), expected);
    }
    drop(lease);

    let blocking = main.blocking();
    let error = spawn_blocking(move || transaction.query::<Value>(&mut blocking.clone()));
    let error = error.await.expect("a thread").expect_err("aborted");
    assert_eq!(masked(seen(&error)), expected);
    assert_eq!(rig.server.cli(&["DBSIZE"]), "0");
    drop(theirs);
    rig.end().await;
}

#[tokio::test]
async fn row_60_an_empty_command_is_the_error_of_the_redis_crate() {
    let rig = common::Rig::start().await;
    let mut theirs = oracle(&rig.server.url()).await;
    let (mut main, mut lease) = (rig.main.clone(), rig.main.lease().await.expect("a lease"));
    let (nothing, none) = (Cmd::new(), Pipeline::new());
    let expected = [
        nothing
            .query_async::<Value>(&mut theirs)
            .await
            .expect_err("empty"),
        none.query_async::<Vec<Value>>(&mut theirs)
            .await
            .expect_err("empty"),
    ];
    for error in &expected {
        assert_eq!(
            seen(error),
            seen(&(ErrorKind::Client, "empty command").into())
        );
    }
    let mut errors = vec![
        nothing
            .query_async::<Value>(&mut main)
            .await
            .expect_err("empty"),
        none.query_async::<Vec<Value>>(&mut main)
            .await
            .expect_err("empty"),
        nothing
            .query_async::<Value>(&mut lease)
            .await
            .expect_err("empty"),
        none.query_async::<Vec<Value>>(&mut lease)
            .await
            .expect_err("empty"),
    ];
    let sent = rig.main.recipient().send(Execute::new(Cmd::new())).await;
    let own = [
        main.execute(&nothing).await.expect_err("empty"),
        main.query::<Value>(&nothing).await.expect_err("empty"),
        main.pipeline::<Value>(&none).await.expect_err("empty"),
        lease.execute(&nothing).await.expect_err("empty"),
        lease.pipeline::<Value>(&none).await.expect_err("empty"),
        sent.expect("a pool that runs").expect_err("empty"),
    ];
    let blocking = main.blocking();
    let threaded = spawn_blocking(move || {
        let mut blocking = blocking;
        let mut lease = blocking.lease().expect("a lease");
        let (nothing, none) = (Cmd::new(), Pipeline::new());
        let theirs = [
            nothing.query::<Value>(&mut blocking).expect_err("empty"),
            none.query::<Vec<Value>>(&mut blocking).expect_err("empty"),
            nothing.query::<Value>(&mut lease).expect_err("empty"),
            none.query::<Vec<Value>>(&mut lease).expect_err("empty"),
        ];
        let own = [
            blocking.execute(&nothing).expect_err("empty"),
            blocking.pipeline::<Value>(&none).expect_err("empty"),
            lease.execute(&nothing).expect_err("empty"),
            lease.pipeline::<Value>(&none).expect_err("empty"),
        ];
        (theirs, own)
    });
    let (through_redis, more) = threaded.await.expect("a thread");
    errors.extend(through_redis);
    for error in own.into_iter().chain(more) {
        assert_eq!(error.execution(), NotSent);
        assert!(
            matches!(
                error,
                Error::CommandRefused {
                    refusal: Refusal::Empty,
                    ..
                }
            ),
            "{error}"
        );
        errors.push(error.into());
    }
    for error in &errors {
        assert_eq!(seen(error), seen(&expected[0]));
    }
    drop(lease);
    // A transaction of no commands is one.
    let none: Vec<Value> = main.pipeline(pipe().atomic()).await.expect("no replies");
    assert!(none.is_empty());
    drop(theirs);
    rig.end().await;
}

#[tokio::test]
async fn row_60_a_command_that_wants_no_reply_does_not_wait() {
    let mut tell = incr();
    tell.set_no_response(true);
    // A server that answers no command, and one that answers with an error.
    for script in [
        Script::replies::<Vec<u8>>([]),
        Script::answering(|_| b"-ERR no\r\n".to_vec()),
    ] {
        let server = ScriptedServer::start([script]);
        let (supervisor, mut main) = spawn(DatabaseConfig::from_url(server.url())).await;
        let mut lease = main.lease().await.expect("a lease");
        let mut theirs = oracle(&server.url()).await;
        let expected = tell.query_async::<Value>(&mut theirs).await;
        assert_eq!(expected, Ok(Value::Nil));
        let sent = main.recipient().send(Execute::new(tell.clone())).await;
        assert_eq!(main.execute(&tell).await.expect("no reply"), Value::Nil);
        assert_eq!(lease.execute(&tell).await.expect("no reply"), Value::Nil);
        assert_eq!(sent.expect("a pool").expect("no reply"), Value::Nil);
        assert_eq!(tell.query_async(&mut main).await, Ok(Value::Nil));
        assert_eq!(tell.query_async(&mut lease).await, Ok(Value::Nil));
        let (blocking, command) = (main.blocking(), tell.clone());
        let threaded = spawn_blocking(move || blocking.execute(&command));
        let reply = threaded.await.expect("a thread").expect("no reply");
        assert_eq!(reply, Value::Nil);
        let arrived = || server.count("INCR");
        eventually_async(SOON, "all arrive", || arrived() == 7).await;
        drop(lease);
        supervisor.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn row_60_commands_that_want_no_reply_run_in_order_and_disturb_no_other() {
    let rig = common::Rig::start().await;
    let mut tell = incr();
    tell.set_no_response(true);
    for expected in 1..=100 {
        rig.main.query::<()>(&tell).await.expect("no reply");
        let n: i64 = rig.main.query(words("GET n")).await.expect("its own reply");
        assert_eq!(n, expected);
    }
    // It is sent although nobody waits, also when it has to wait for a connection.
    let mut lease = rig.main.lease().await.expect("a lease");
    lease.query::<()>(&tell).await.expect("no reply");
    assert_eq!(
        lease
            .query::<i64>(words("GET n"))
            .await
            .expect("its own reply"),
        101
    );
    drop(lease);
    assert_eq!(
        rig.settled().await.idle,
        1,
        "a later reply settles the lease"
    );
    // A refusal before it is sent is an error all the same.
    let mut select = words("SELECT 1");
    let refused = rig.main.execute(select.set_no_response(true)).await;
    assert!(
        matches!(refused, Err(Error::CommandRefused { .. })),
        "{refused:?}"
    );
    rig.end().await;
}

/// What deadpool-redis and redis_pool send whenever they lend a connection.
async fn check_out(connection: &mut impl ConnectionLike, turn: usize) -> RedisResult<()> {
    let mut pipeline = pipe();
    pipeline.cmd("UNWATCH").ignore().cmd("PING").arg(turn);
    let (answer,): (usize,) = pipeline.query_async(connection).await?;
    assert_eq!(answer, turn);
    cmd("UNWATCH").query_async::<()>(connection).await
}

#[tokio::test]
async fn row_61_pools_of_other_crates_check_a_handle_out() {
    let rig = common::Rig::start().await;
    let (mut main, mut theirs) = (rig.main.clone(), oracle(&rig.server.url()).await);
    for turn in 0..100 {
        check_out(&mut main, turn)
            .await
            .expect("as on a connection");
        main.set::<_, _, ()>("k", turn).await.expect("a command");
    }
    assert_eq!(rig.pool().opened, 1, "the shared connection");
    // Whatever states how the connection is anyway runs, alone and in pipelines.
    for line in [
        "UNWATCH",
        "SELECT 0",
        "CLIENT NO-EVICT OFF",
        "CLIENT TRACKING OFF",
        "CLIENT REPLY ON",
    ] {
        let command = words(line);
        // An older server may not know the command, and its text quotes it.
        let kind = |error: RedisError| error.kind();
        let expected = command.query_async::<Value>(&mut theirs).await;
        let expected = expected.map_err(kind);
        let ours = command.query_async::<Value>(&mut main).await;
        assert_eq!(ours.map_err(kind), expected, "{line}");
        if expected.is_err() {
            continue;
        }
        let mut pipeline = pipe();
        pipeline.add_command(command);
        let expected: Vec<Value> = pipeline.query_async(&mut theirs).await.expect(line);
        let replies: Vec<Value> = main.pipeline(&pipeline).await.expect(line);
        assert_eq!(replies, expected, "{line}");
    }
    let queued: Vec<Value> = main
        .pipeline(pipe().atomic().cmd("UNWATCH").get("k"))
        .await
        .expect("both");
    assert_eq!(queued.len(), 2);
    main.query::<Value>(words("HELLO"))
        .await
        .expect("a description");
    // READWRITE is at most an error of a server without a cluster, and no refusal.
    if let Err(error) = main.execute(&words("READWRITE")).await {
        assert_eq!(error.code(), Some("ERR"));
    }
    for line in [
        "SELECT 1",
        "READONLY",
        "CLIENT SETNAME x",
        "CLIENT NO-EVICT ON",
        "HELLO 3",
        "WATCH k",
    ] {
        let error = error_of(&main, &words(line)).await;
        assert!(
            matches!(
                error,
                Error::CommandRefused {
                    refusal: Refusal::Session,
                    ..
                }
            ),
            "{line}: {error}"
        );
    }
    assert_eq!(rig.pool().opened, 1);
    // On a lease it still ends a transaction.
    let mut lease = main.lease().await.expect("a lease");
    lease.query::<()>(words("WATCH k")).await.expect("watched");
    lease
        .query::<()>(words("UNWATCH"))
        .await
        .expect("unwatched");
    drop(lease);
    assert_eq!(rig.settled().await.idle, 1, "its connection is clean");
    drop(theirs);
    rig.end().await;
}

#[tokio::test]
async fn row_61_a_select_of_the_database_that_is_selected_changes_nothing() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url_with_db(3))).await;
    main.query::<()>(words("SELECT 3"))
        .await
        .expect("it is selected");
    let mut pipeline = pipe();
    pipeline.cmd("SELECT").arg(3).ignore().set("k", 1);
    main.pipeline::<()>(&pipeline)
        .await
        .expect("it is selected");
    assert!(server.info("keyspace").contains_key("db3"));
    let error = error_of(&main, &words("SELECT 0")).await;
    assert!(matches!(error, Error::CommandRefused { .. }), "{error}");
    supervisor.shutdown(SOON).await;
}

/// The `redis` crate's own loop of WATCH, body and EXEC, on leases that compete.
#[tokio::test]
async fn row_61_transaction_async_runs_on_a_lease() {
    let rig = common::Rig::start().await;
    let callers: Vec<_> = (0..4)
        .map(|_| tokio::spawn(count_up(rig.main.clone())))
        .collect();
    for caller in callers {
        caller.await.expect("a task");
    }
    assert_eq!(rig.server.cli(&["GET", "n"]), "40");
    let pool = rig.settled().await;
    assert_eq!(pool.discarded, 0, "all leases were clean");
    rig.end().await;
}

async fn count_up(main: Database) {
    let lease = main.lease().await.expect("a lease").into_shared();
    for _ in 0..10 {
        let counted: RedisResult<(i64,)> =
            transaction_async(lease.clone(), &["n"], |mut lease, mut pipe| async move {
                let n: Option<i64> = lease.get("n").await?;
                let next = n.unwrap_or_default() + 1;
                pipe.set("n", next).ignore().get("n");
                pipe.query_async(&mut lease).await
            })
            .await;
        counted.expect("it commits in the end");
    }
}

/// No time of the test is a time that a call takes; a call that blocked would wait for its 30 s.
#[test]
fn row_62_blocking_handles_tell_that_the_server_is_away() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let main = DatabaseConfig::from_url(proxy.url())
        .command_timeout(Duration::from_secs(30))
        .attempt_timeout(Duration::from_millis(500));
    let supervisor = Supervisor::spawn_blocking(Config::new().database("main", main));
    let supervisor = supervisor.expect("a supervisor");
    let mut main = supervisor.database("main").expect("main").blocking();
    assert!(main.check_connection());
    assert!(main.is_open());
    let mut lease = main.lease().expect("a lease");
    assert!(lease.check_connection() && lease.is_open());

    // A server that does not answer is noticed after the time of a healthy reply.
    proxy.set(Mode::BlackHole);
    let asked = Instant::now();
    assert!(!main.check_connection());
    assert!(!lease.check_connection());
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    proxy.heal();
    common::eventually(SOON, "it is back", || {
        main.check_connection() && main.is_open()
    });

    let mut lease = main.lease().expect("a lease");
    assert!(lease.check_connection());
    server.kill();
    common::eventually(SOON, "the handle knows", || !main.is_open());
    common::eventually(SOON, "the lease knows", || !lease.is_open());
    let asked = Instant::now();
    assert!(!main.check_connection());
    assert!(!lease.check_connection());
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    let refused = main.with_timeout(Duration::ZERO).get::<_, Value>("k");
    assert!(refused.is_err());

    server.restart();
    common::eventually(SOON, "it is back", || {
        main.check_connection() && main.is_open()
    });
    assert_eq!(stats(&supervisor).in_flight, 0);
    drop(lease);
    futures_executor::block_on(supervisor.shutdown(SOON));
    assert!(!main.is_open());
}

/// The server keeps the keys for all clients, so every connection finds them, and all of them are counted at
/// the cost of every client, so that needs permission.
#[tokio::test]
async fn row_61_hotkeys_commands_work_on_every_handle() {
    let server = ScriptedServer::start([Script::answering(|command| match &command[1][..] {
        b"GET" => b"$-1\r\n".to_vec(),
        _ => b"+OK\r\n".to_vec(),
    })]);
    for allow_admin in [false, true] {
        let database = DatabaseConfig::from_url(server.url()).allow_admin(allow_admin);
        let (supervisor, mut main) = spawn(database).await;
        let mut lease = main.lease().await.expect("a lease");
        let mut shared = main.lease().await.expect("a lease").into_shared();
        let options = HotkeysOptions::new_with_cpu;
        for started in [
            AsyncHotkeysCommands::hotkeys_start(&mut main, options()).await,
            AsyncHotkeysCommands::hotkeys_start(&mut lease, options()).await,
            AsyncHotkeysCommands::hotkeys_start(&mut shared, options()).await,
        ] {
            assert_eq!(started.is_ok(), allow_admin, "{started:?}");
        }
        assert!(
            AsyncHotkeysCommands::hotkeys_get(&mut main)
                .await
                .expect("nothing")
                .is_none()
        );
        assert!(
            AsyncHotkeysCommands::hotkeys_get(&mut shared)
                .await
                .expect("nothing")
                .is_none()
        );
        let mut blocking = main.blocking();
        let threaded = spawn_blocking(move || {
            let mut lease = blocking.lease().expect("a lease");
            let found = (
                HotkeysCommands::hotkeys_get(&mut blocking)?,
                HotkeysCommands::hotkeys_get(&mut lease)?,
            );
            RedisResult::Ok((found.0.is_none(), found.1.is_none()))
        });
        assert_eq!(threaded.await.expect("a thread"), Ok((true, true)));
        drop((lease, shared));
        supervisor.shutdown(SOON).await;
    }
}
