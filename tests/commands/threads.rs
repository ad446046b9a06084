//! Goal: the blocking handle offers threads the same as the async handle offers tasks. Method: the `redis`
//! crate's blocking interface against a real server, from plain threads; a proxy counts the bytes of
//! commands that must not be sent.

use std::{
    collections::{BTreeSet, HashMap},
    thread,
    time::{Duration, Instant},
};

use redis::{Commands, ConnectionLike, ErrorKind, RedisResult, Script, Value, cmd, pipe};
use redis_steward::{
    BlockingDatabase, CircuitState, Config, Database, Error, Execution, HealthState, Refusal,
    Supervisor,
};

use crate::{
    common::{Mode, RedisServer, eventually},
    thread_rig::Rig,
};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn typed_commands_work_on_a_plain_thread() {
    let rig = Rig::start();
    let mut main = rig.main.clone();
    main.set::<_, _, ()>("greeting", "hello").expect("set");
    assert_eq!(main.get::<_, String>("greeting").expect("get"), "hello");
    let fields = [("user", "ada"), ("role", "admin")];
    main.hset_multiple::<_, _, _, ()>("session", &fields)
        .expect("hset");
    let session: HashMap<String, String> = main.hgetall("session").expect("hgetall");
    assert_eq!(session["user"], "ada");

    assert_eq!(main.query::<i64>(cmd("INCR").arg("n")).expect("incr"), 1);
    assert_eq!(
        main.execute(cmd("INCR").arg("n")).expect("incr"),
        Value::Int(2)
    );
    let n: i64 = cmd("GET").arg("n").query(&mut main).expect("get");
    assert_eq!(n, 2);
    rig.end();
}

#[test]
fn errors_are_those_of_the_async_handle() {
    let rig = Rig::start();
    let mut main = rig.main.clone();
    main.set::<_, _, ()>("text", "hello").expect("set");
    let error = main.query::<i64>(cmd("INCR").arg("text"));
    let error = error.expect_err("no number");
    assert_eq!(error.code(), Some("ERR"), "{error}");
    assert_eq!(error.execution(), Execution::NotExecuted);
    let error = main.get::<_, i64>("text").expect_err("no number");
    assert_eq!(error.kind(), ErrorKind::Parse, "{error}");
    let error = main.query::<i64>(cmd("GET").arg("text"));
    let error = error.expect_err("no number");
    assert!(matches!(error, Error::Conversion { .. }), "{error}");
    rig.end();
}

#[test]
fn pipelines_work_through_both_interfaces() {
    let rig = Rig::start();
    let mut main = rig.main.clone();
    for atomic in [false, true] {
        let mut pipeline = pipe();
        pipeline.set("a", 1).ignore().incr("a", 1).get("a");
        if atomic {
            pipeline.atomic();
        }
        let expected = (2, "2".to_owned());
        let own: (i64, String) = main.pipeline(&pipeline).expect("replies");
        assert_eq!(own, expected);
        let theirs: (i64, String) = pipeline.query(&mut main).expect("replies");
        assert_eq!(theirs, expected);
    }
    let none: Vec<Value> = pipe().atomic().query(&mut main).expect("no replies");
    assert!(none.is_empty());
    rig.end();
}

#[test]
fn a_pipeline_of_the_redis_crate_tells_which_command_failed() {
    let rig = Rig::start();
    let mut main = rig.main.clone();
    for atomic in [false, true] {
        let mut pipeline = pipe();
        pipeline.set("a", "x").ignore().incr("a", 1).get("a");
        if atomic {
            pipeline.atomic();
        }
        let error = pipeline.query::<Value>(&mut main).expect_err("INCR fails");
        let errors = error.into_server_errors().expect("errors of the server");
        let failed: Vec<_> = errors.iter().map(|(index, _)| *index).collect();
        assert_eq!(failed, [1]);

        let results: Vec<RedisResult<String>> = pipeline
            .ignore_errors()
            .query(&mut main)
            .expect("all results");
        let succeeded: Vec<_> = results.iter().map(Result::is_ok).collect();
        assert_eq!(succeeded, [false, true], "atomic: {atomic}");
        assert_eq!(results[1].as_deref(), Ok("x"));
    }
    rig.end();
}

#[test]
fn a_transaction_that_cannot_be_queued_changes_nothing() {
    let rig = Rig::start();
    let mut main = rig.main.clone();
    let mut pipeline = pipe();
    pipeline.atomic().set("a", 1).cmd("GET");
    let error = pipeline.query::<Value>(&mut main).expect_err("aborted");
    assert!(error.to_string().contains("Index 1"), "{error}");
    assert!(!main.exists::<_, bool>("a").expect("exists"));
    rig.end();
}

#[test]
fn scripts_are_loaded_and_invoked() {
    let rig = Rig::start();
    let mut main = rig.main.clone();
    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    for expected in [5, 10] {
        let sum: i64 = script
            .key("sum")
            .arg(5)
            .invoke(&mut main)
            .expect("a number");
        assert_eq!(sum, expected);
    }
    rig.end();
}

#[test]
fn a_scan_visits_every_key() {
    let rig = Rig::start();
    let mut main = rig.main.clone();
    let mut pipeline = pipe();
    let expected: BTreeSet<_> = (0..500).map(|at| format!("key:{at}")).collect();
    for key in &expected {
        pipeline.set(key, 1).ignore();
    }
    main.pipeline::<()>(&pipeline).expect("set");
    // The scan takes several steps; all but the first are sent as packed bytes.
    let scanned: RedisResult<BTreeSet<String>> = main.scan().expect("a scan").collect();
    assert_eq!(scanned.expect("keys"), expected);
    assert!(rig.server.commandstat("scan") > 1);
    rig.end();
}

#[test]
fn many_threads_share_one_connection_and_get_their_own_replies() {
    let rig = Rig::start();
    thread::scope(|scope| {
        for caller in 0..32 {
            let mut main = rig.main.clone();
            scope.spawn(move || {
                for turn in 0..200 {
                    let nonce = format!("{caller}:{turn}");
                    let echo: String = main.query(cmd("ECHO").arg(&nonce)).expect("echo");
                    assert_eq!(echo, nonce);
                    main.incr::<_, _, i64>("turns", 1).expect("incr");
                }
            });
        }
    });
    let turns: i64 = rig.main.query(cmd("GET").arg("turns")).expect("get");
    assert_eq!(turns, 32 * 200);
    let stats = rig.supervisor.statistics().databases["main"].clone();
    assert_eq!(stats.pool.opened, 1);
    rig.end();
}

#[test]
fn forbidden_commands_are_refused_in_every_form_before_a_byte_is_written() {
    let rig = Rig::start();
    let mut main = rig.main.clone();
    let before = rig.proxy.request_bytes();
    let forbidden = [
        (cmd("SELECT").arg(1).take(), Refusal::Session),
        (cmd("watch").arg("k").take(), Refusal::Session),
        (cmd("EXEC"), Refusal::Session),
        (cmd("SUBSCRIBE").arg("c").take(), Refusal::Subscription),
    ];
    for (command, refusal) in forbidden {
        assert_refused(main.execute(&command).map_err(Into::into), refusal);
        assert_refused(command.query::<Value>(&mut main), refusal);
        let packed = command.get_packed_command();
        assert_refused(main.req_packed_command(&packed), refusal);
        for atomic in [false, true] {
            let mut pipeline = pipe();
            pipeline.cmd("INCR").arg("n").add_command(command.clone());
            if atomic {
                pipeline.atomic();
            }
            let own = main.pipeline::<Value>(&pipeline);
            assert_refused(own.map_err(Into::into), refusal);
            assert_refused(pipeline.query::<Value>(&mut main), refusal);
        }
    }
    // A hand-written transaction.
    let mut by_hand = pipe();
    by_hand.cmd("MULTI").cmd("PING").cmd("EXEC");
    assert_refused(by_hand.query::<Value>(&mut main), Refusal::Session);
    // `redis::transaction` begins with WATCH.
    let result = redis::transaction(&mut main, &["k"], |_, _| Ok(Some(())));
    assert_refused(result, Refusal::Session);
    rig.assert_nothing_written_since(before);
    rig.end();
}

#[test]
fn packed_bytes_that_are_not_the_stated_commands_are_not_sent() {
    let rig = Rig::start();
    let mut main = rig.main.clone();
    let before = rig.proxy.request_bytes();
    let (ping, two) = (b"*1\r\n$4\r\nPING\r\n", b"*1\r\n$4\r\nPING\r\n".repeat(2));
    for result in [
        main.req_packed_command(b"PING\r\n"),
        main.req_packed_command(&two),
        main.req_packed_commands(b"PING\r\n", 0, 1)
            .map(Value::Array),
        main.req_packed_commands(&two, 0, 1).map(Value::Array),
        main.req_packed_commands(&two, 1, 1).map(Value::Array),
    ] {
        let error = result.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Client, "{error}");
        assert!(error.to_string().contains("nothing was sent"), "{error}");
    }
    rig.assert_nothing_written_since(before);
    let pong = main.req_packed_command(ping).expect("a reply");
    assert_eq!(pong, Value::SimpleString("PONG".into()));
    let pongs = main.req_packed_commands(&two, 0, 2).expect("replies");
    assert_eq!(pongs, [pong.clone(), pong]);
    rig.end();
}

#[test]
fn the_handle_answers_the_queries_of_connection_like() {
    let server = RedisServer::start();
    let config = Config::single(server.url_with_db(3));
    let supervisor = Supervisor::spawn_blocking(config).expect("a supervisor");
    let mut main = supervisor.database("main").expect("main").blocking();
    assert_eq!((main.name(), main.get_db()), ("main", 3));
    assert!(main.supports_pipelining() && main.check_connection());
    // The first command was sent ahead of all others, and answered, before others find the connection.
    eventually(SOON, "others find the connection", || main.is_open());
    server.kill();
    assert!(
        !main
            .with_timeout(Duration::from_millis(100))
            .check_connection()
    );
    eventually(SOON, "it is noticed", || !main.is_open());
    server.restart();
    eventually(SOON, "it works again", || main.is_open());
    futures_executor::block_on(supervisor.shutdown(SOON));
    assert!(!main.is_open() && !main.check_connection());
}

#[test]
fn a_call_to_a_frozen_server_ends_at_its_deadline() {
    let rig = Rig::start();
    let timeout = Duration::from_millis(200);
    let hasty = rig.main.with_timeout(timeout);
    rig.server.freeze();
    let start = Instant::now();
    let error = hasty.query::<i64>(cmd("INCR").arg("n"));
    let (took, error) = (
        start.elapsed(),
        error.expect_err("a frozen server answered"),
    );
    rig.server.thaw();
    assert!(took >= timeout, "{took:?}: {error}");
    // The connection has ended the call, not the fallback timer of the thread.
    assert!(
        took < timeout + Duration::from_millis(500),
        "{took:?}: {error}"
    );
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.execution(), Execution::Unknown, "{error}");
    let echo: String = rig.main.query(cmd("ECHO").arg("mine")).expect("echo");
    assert_eq!(echo, "mine");
    rig.end();
}

#[test]
fn a_blocking_handle_keeps_timeout_and_idempotence() {
    let rig = Rig::start();
    // The timeout of the async handle holds for the blocking one, and can be replaced.
    let none = rig.supervisor.database("main").expect("main");
    let none = none.with_timeout(Duration::ZERO).blocking();
    none.execute(&cmd("PING")).expect_err("there is no time");
    let some = none.clone().with_timeout(SOON);
    some.execute(&cmd("PING")).expect("a reply");

    // A connection that breaks before the reply shows whether the command counts as idempotent.
    let lost = |main: &BlockingDatabase, command: &redis::Cmd| {
        // The handshake of the connection must be over before replies are swallowed.
        main.execute(&cmd("PING")).expect("a connection");
        let before = rig.proxy.swallowed_bytes();
        rig.proxy.set(Mode::SwallowReplies);
        thread::scope(|scope| {
            let call = scope.spawn(|| main.execute(command));
            let was_executed = || rig.proxy.swallowed_bytes() > before;
            eventually(SOON, "it was executed", was_executed);
            rig.proxy.heal();
            rig.proxy.reset_all();
            call.join().expect("a thread")
        })
    };
    let (incr, get) = (cmd("INCR").arg("n").take(), cmd("GET").arg("n").take());
    let error = lost(&some, &incr).expect_err("it may run once only");
    assert_eq!(error.execution(), Execution::Unknown, "{error}");
    lost(&some, &get).expect("it only reads");
    lost(&some.not_idempotent(), &get).expect_err("it may run once only");
    lost(&some.idempotent(), &incr).expect("it may run twice");
    rig.end();
}

#[test]
fn threads_go_on_when_a_killed_server_is_back() {
    let rig = Rig::start();
    let mut main = rig.main.with_timeout(Duration::from_millis(500));
    rig.server.kill();
    let circuit = || rig.supervisor.statistics().databases["main"].circuit;
    eventually(SOON, "the circuit is open", || {
        let error = main.get::<_, Value>("k").expect_err("the server is down");
        assert!(Error::from_redis(&error).is_some(), "{error}");
        circuit() == CircuitState::Open
    });
    let error = main.execute(&cmd("PING")).expect_err("refused");
    assert!(matches!(error, Error::CircuitOpen { .. }), "{error}");
    rig.server.restart();
    eventually(SOON, "commands work again", || {
        main.set::<_, _, ()>("k", 1).is_ok()
    });
    rig.end();
}

#[test]
fn a_shutdown_ends_the_call_of_a_waiting_thread() {
    let rig = Rig::start();
    rig.server.freeze();
    let main = rig.main.with_timeout(Duration::from_secs(60));
    let caller = thread::spawn(move || main.execute(cmd("INCR").arg("n")));
    let in_flight = || rig.supervisor.statistics().databases["main"].in_flight;
    eventually(SOON, "the command is in flight", || in_flight() == 1);
    futures_executor::block_on(rig.supervisor.shutdown(Duration::ZERO));
    let error = caller.join().expect("a thread").expect_err("no reply");
    assert!(matches!(error, Error::ShuttingDown { .. }), "{error}");
    assert_eq!(error.execution(), Execution::Unknown, "{error}");
    let error = rig
        .main
        .execute(&cmd("PING"))
        .expect_err("it was shut down");
    assert_eq!(error.execution(), Execution::NotSent, "{error}");
    rig.server.thaw();
}

#[test]
fn dropping_the_last_handle_on_a_plain_thread_stops_everything() {
    let rig = Rig::start();
    let Rig {
        server,
        supervisor,
        main,
        ..
    } = rig;
    drop(supervisor);
    main.execute(&cmd("PING"))
        .expect("a handle keeps it running");
    thread::spawn(move || drop(main)).join().expect("a thread");
    eventually(SOON, "the server has no client", || {
        server.clients_named("redis-steward").is_empty()
    });
}

#[test]
fn handles_are_shareable_and_their_debug_text_has_no_secret() {
    fn is_shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    let server = RedisServer::start();
    let supervisor =
        Supervisor::spawn_blocking(Config::single(server.url())).expect("a supervisor");
    let main = supervisor.database("main").expect("main").blocking();
    is_shared(&main);
    let shown = format!("{main:?}");
    assert!(
        shown.contains("\"main\"") && shown.contains("timeout"),
        "{shown}"
    );
    assert!(!shown.contains("127.0.0.1"), "{shown}");
}

/// Compiles only if each handle is a connection of exactly one kind: a type of both kinds would have
/// two functions `check`, and the name would be ambiguous.
#[test]
fn each_handle_is_a_connection_of_one_kind() {
    trait NotBlocking<Which> {
        fn check() {}
    }
    impl<T> NotBlocking<()> for T {}
    impl<T: redis::ConnectionLike> NotBlocking<u8> for T {}
    trait NotAsync<Which> {
        fn check() {}
    }
    impl<T> NotAsync<()> for T {}
    impl<T: redis::aio::ConnectionLike> NotAsync<u8> for T {}

    <Database as NotBlocking<_>>::check();
    <BlockingDatabase as NotAsync<_>>::check();
    fn is_blocking<T: redis::ConnectionLike>() {}
    fn is_async<T: redis::aio::ConnectionLike>() {}
    is_blocking::<BlockingDatabase>();
    is_async::<Database>();
}

#[track_caller]
fn assert_refused<T>(result: RedisResult<T>, expected: Refusal) {
    let error = result.err().expect("refused");
    match Error::from_redis(&error) {
        Some(Error::CommandRefused { refusal, .. }) => assert_eq!(*refusal, expected),
        _ => panic!("{error}"),
    }
}

#[test]
fn a_patient_thread_waits_for_the_server_and_the_state_is_known_without_waiting() {
    let rig = Rig::start();
    assert_eq!(rig.main.state(), HealthState::Healthy);
    rig.server.kill();
    let is_down = || matches!(rig.main.state(), HealthState::Down { .. });
    eventually(SOON, "it is known to be down", is_down);
    let refused = rig.main.query::<i64>(cmd("INCR").arg("n"));
    assert!(
        matches!(refused, Err(Error::CircuitOpen { .. })),
        "{refused:?}"
    );
    let patient = rig.main.patient().with_timeout(2 * SOON);
    let impatient = patient.impatient();
    let refused = impatient.query::<i64>(cmd("INCR").arg("n"));
    assert!(
        matches!(refused, Err(Error::CircuitOpen { .. })),
        "{refused:?}"
    );
    let waiting = thread::spawn(move || patient.query::<i64>(cmd("INCR").arg("n")));
    rig.server.restart();
    assert_eq!(waiting.join().expect("no panic").expect("it waited"), 1);
}
