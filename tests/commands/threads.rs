//! Goal: the blocking handle offers threads the same as the async handle offers tasks, and never blocks
//! a runtime. Method: the `redis` crate's blocking interface against a real server, from plain threads
//! and from every async context; a proxy counts the bytes of commands that must not be sent.

use std::{
    collections::{BTreeSet, HashMap},
    thread,
    time::{Duration, Instant},
};

use redis::{Commands, ConnectionLike, ErrorKind, RedisResult, Script, Value, cmd, pipe};
use redis_steward::{
    BlockingDatabase, CircuitState, Config, Database, DatabaseConfig, Error, Execution, Refusal,
    Stage, Supervisor,
};

use crate::common::{FaultProxy, Mode, RedisServer, eventually, proc::sockets_to};

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

        let mut empty = pipe();
        if atomic {
            empty.atomic();
        }
        let none: Vec<Value> = empty.query(&mut main).expect("no replies");
        assert!(none.is_empty());
    }
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
    assert!(error.to_string().contains("command 1"), "{error}");
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
        (redis::Cmd::new(), Refusal::Empty),
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
    assert!(main.supports_pipelining() && main.is_open() && main.check_connection());
    server.kill();
    assert!(
        !main
            .with_timeout(Duration::from_millis(100))
            .check_connection()
    );
    assert!(main.is_open(), "it will work again");
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
fn no_async_context_is_ever_blocked() {
    let rig = Rig::start();
    let before = rig.proxy.request_bytes();
    let (main, supervisor) = (&rig.main, &rig.supervisor);
    let refused_before = supervisor.statistics().databases["main"].refused;
    let spawned = || {
        let main = main.clone();
        tokio::spawn(async move { assert_would_block(&main) })
    };
    let local = || {
        let main = main.clone();
        tokio::task::spawn_local(async move { assert_would_block(&main) })
    };
    for runtime in [current_thread(), multi_thread()] {
        runtime.block_on(async { assert_would_block(main) });
        runtime.block_on(async { spawned().await.expect("a task") });
        runtime.block_on(async {
            let tasks = tokio::task::LocalSet::new();
            tasks.run_until(async { assert_would_block(main) }).await;
            let task = async { local().await.expect("a task") };
            tasks.run_until(task).await;
        });
        // After other work of the same task, and between other tasks.
        runtime.block_on(async {
            for _ in 0..300 {
                tokio::task::coop::consume_budget().await;
                assert_would_block(main);
            }
            let both = async {
                assert_would_block(main);
                tokio::task::yield_now().await;
                assert_would_block(main);
            };
            tokio::join!(both, async { assert_would_block(main) });
        });
        // An async block inside spawn_blocking.
        let inner = main.clone();
        runtime.block_on(async {
            let thread = tokio::task::spawn_blocking(move || {
                let handle = tokio::runtime::Handle::current();
                handle.block_on(async { assert_would_block(&inner) });
            });
            thread.await.expect("a thread");
        });
    }
    actix_rt::System::new().block_on(async {
        assert_would_block(main);
        let arbiter = actix_rt::Arbiter::new();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let of_arbiter = main.clone();
        arbiter.spawn(async move {
            assert_would_block(&of_arbiter);
            sender.send(()).expect("the test waits");
        });
        receiver.await.expect("it was refused");
        arbiter.stop();
        arbiter.join().expect("a thread");
        local().await.expect("a task");
    });
    let refused = supervisor.statistics().databases["main"].refused - refused_before;
    assert!(refused > 300, "{refused}");
    rig.assert_nothing_written_since(before);
    rig.end();
}

#[test]
fn calls_work_where_a_runtime_permits_blocking() {
    let rig = Rig::start();
    let ping = |main: &BlockingDatabase| {
        let pong: String = main.query(cmd("PING")).expect("a reply");
        assert_eq!(pong, "PONG");
    };
    for runtime in [current_thread(), multi_thread()] {
        let main = rig.main.clone();
        let of_blocking = async { tokio::task::spawn_blocking(move || ping(&main)).await };
        runtime.block_on(of_blocking).expect("a thread");
        // A plain thread that has entered a runtime.
        let _entered = runtime.enter();
        ping(&rig.main);
    }
    let runtime = multi_thread();
    runtime.block_on(async { tokio::task::block_in_place(|| ping(&rig.main)) });
    let main = rig.main.clone();
    runtime.block_on(async {
        let task = tokio::spawn(async move {
            tokio::task::block_in_place(|| ping(&main));
            // The task may not block any more after block_in_place.
            assert_would_block(&main);
        });
        task.await.expect("a task");
    });
    rig.end();
}

/// The connections run on the same runtime, where a blocking call would wait for itself.
#[test]
fn spawn_blocking_works_on_the_runtime_of_the_connections() {
    let server = RedisServer::start();
    for runtime in [current_thread(), multi_thread()] {
        runtime.block_on(async {
            let (supervisor, main) =
                crate::common::spawn(DatabaseConfig::from_url(server.url())).await;
            assert_would_block(&main.blocking());
            let mut main = main.blocking();
            let thread = tokio::task::spawn_blocking(move || {
                for turn in 0..100 {
                    main.set::<_, _, ()>("turn", turn).expect("set");
                    assert_eq!(main.get::<_, i32>("turn").expect("get"), turn);
                }
            });
            thread.await.expect("a thread");
            supervisor.shutdown(SOON).await;
        });
    }
    assert_eq!(sockets_to(server.port()), 0);
}

#[test]
fn a_runtime_that_is_not_driven_does_not_hang_a_thread() {
    let server = RedisServer::start();
    let home = current_thread();
    let main = DatabaseConfig::from_url(server.url());
    let (supervisor, main) = home.block_on(crate::common::spawn(main));
    let main = main.blocking();
    let timeout = Duration::from_millis(100);
    let start = Instant::now();
    let error = main
        .with_timeout(timeout)
        .execute(cmd("INCR").arg("n"))
        .expect_err("its runtime is not driven");
    let took = start.elapsed();
    assert!(took >= timeout, "{took:?}: {error}");
    assert!(took < timeout + Duration::from_secs(2), "{took:?}: {error}");
    match &error {
        Error::TimedOut {
            stage,
            execution,
            timeout: had,
            ..
        } => {
            assert_eq!((*stage, *execution), (Stage::Runtime, Execution::Unknown));
            assert_eq!(*had, timeout);
        }
        other => panic!("another error: {other}"),
    }
    assert!(error.to_string().contains("Io::Dedicated"), "{error}");

    // The timed-out command is not sent when the runtime is driven again.
    let driven = home.block_on(async {
        let main = main.clone();
        let exists = move || main.query::<bool>(cmd("EXISTS").arg("n"));
        tokio::task::spawn_blocking(exists).await
    });
    assert!(!driven.expect("a thread").expect("a reply"));
    let in_flight = supervisor.statistics().databases["main"].in_flight;
    assert_eq!(in_flight, 0);
    home.block_on(supervisor.shutdown(SOON));
    assert_eq!(sockets_to(server.port()), 0);
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

/// A server behind a proxy that counts bytes, and a supervisor that uses no runtime of the test.
struct Rig {
    server: RedisServer,
    proxy: FaultProxy,
    supervisor: Supervisor,
    main: BlockingDatabase,
}

impl Rig {
    fn start() -> Self {
        let server = RedisServer::start();
        let proxy = FaultProxy::start(server.port());
        let database = DatabaseConfig::from_url(proxy.url())
            // Probes would be counted as request bytes.
            .health_check_interval(Duration::from_secs(3600));
        let supervisor = Supervisor::spawn_blocking(Config::new().database("main", database));
        let supervisor = supervisor.expect("a supervisor");
        let main = supervisor.database("main").expect("main").blocking();
        main.execute(&cmd("PING")).expect("a reply");
        Self {
            server,
            proxy,
            supervisor,
            main,
        }
    }

    /// The reply to a PING shows that all bytes written before it have arrived.
    #[track_caller]
    fn assert_nothing_written_since(&self, before: u64) {
        let mark = cmd("PING");
        self.main.execute(&mark).expect("a reply");
        let written = self.proxy.request_bytes() - before;
        assert_eq!(written, mark.get_packed_command().len() as u64);
    }

    fn end(self) {
        let in_flight = || self.supervisor.statistics().databases["main"].in_flight;
        eventually(SOON, "nothing is in flight", || in_flight() == 0);
        futures_executor::block_on(self.supervisor.shutdown(SOON));
        assert_eq!(sockets_to(self.proxy.port()), 0);
        eventually(SOON, "the server has no client", || {
            self.server.clients_named("redis-steward").is_empty()
        });
    }
}

#[track_caller]
fn assert_refused<T>(result: RedisResult<T>, expected: Refusal) {
    let error = result.err().expect("refused");
    match Error::from_redis(&error) {
        Some(Error::ForbiddenOnShared { refusal, .. }) => assert_eq!(*refusal, expected),
        _ => panic!("{error}"),
    }
}

/// Tries every kind of call.
#[track_caller]
fn assert_would_block(main: &BlockingDatabase) {
    let mut main = main.clone();
    let start = Instant::now();
    for result in [
        main.execute(&cmd("PING")).map_err(Into::into),
        main.query(cmd("PING")).map_err(Into::into),
        main.pipeline(pipe().ping()).map_err(Into::into),
        cmd("PING").query(&mut main),
        pipe().ping().query(&mut main),
        main.req_packed_command(b"*1\r\n$4\r\nPING\r\n"),
    ] {
        let error: redis::RedisError = result.expect_err("it would block");
        match Error::from_redis(&error) {
            Some(own @ Error::WouldBlockRuntime { database }) => {
                assert_eq!((&**database, own.execution()), ("main", Execution::NotSent));
                assert!(!own.is_timeout() && !error.is_timeout());
                assert!(own.to_string().contains("spawn_blocking"), "{own}");
            }
            _ => panic!("{error}"),
        }
    }
    assert!(!main.check_connection());
    assert!(start.elapsed() < SOON, "at once");
}

fn multi_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
