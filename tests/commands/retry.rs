//! Goal: a failed command is retried only where that is safe and useful. Method: a scripted server that
//! refuses or closes, and a real one; both count the commands that they receive.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    time::{Duration, Instant},
};

use redis::{cmd, pipe};
use redis_steward::{Database, DatabaseConfig, Error, Execution, Stage, Supervisor};

use crate::common::{
    FaultProxy, Mode, RedisServer, Script, ScriptedServer, eventually_async, spawn,
};

const SOON: Duration = Duration::from_secs(10);

/// A server that answers commands with these lines in turn, and later commands with `+OK`.
fn answering(answers: &[&'static str]) -> ScriptedServer {
    let answers = answers.to_vec();
    let next = AtomicUsize::new(0);
    ScriptedServer::start([Script::answering(move |_| {
        let answer = answers.get(next.fetch_add(1, Relaxed)).unwrap_or(&"+OK");
        format!("{answer}\r\n").into_bytes()
    })])
}

async fn connect(server: &ScriptedServer) -> (Supervisor, Database) {
    spawn(DatabaseConfig::from_url(server.url())).await
}

#[tokio::test]
async fn a_refused_write_is_sent_again() {
    for code in [
        "BUSY",
        "MASTERDOWN",
        "CLUSTERDOWN",
        "TRYAGAIN",
        "NOREPLICAS",
    ] {
        let refusal: &str = format!("-{code} not now").leak();
        let server = answering(&[refusal, refusal]);
        let (supervisor, main) = connect(&server).await;
        let main = main.not_idempotent();
        let value: String = main.query(cmd("INCR").arg("n")).await.expect(code);
        assert_eq!(value, "OK");
        assert_eq!(server.count("INCR"), 3, "{code}");
        let stats = &supervisor.statistics().databases["main"];
        assert_eq!((stats.retried, stats.commands()), (2, 1));
        supervisor.shutdown(SOON).await;
    }
}

#[tokio::test]
async fn the_error_of_the_third_attempt_is_returned() {
    let server = answering(&["-TRYAGAIN not now"; 3]);
    let (supervisor, main) = connect(&server).await;
    let error = main.query::<()>(cmd("INCR").arg("n")).await;
    let error = error.expect_err("three refusals");
    assert_eq!(error.code(), Some("TRYAGAIN"));
    assert_eq!(error.execution(), Execution::NotExecuted);
    assert!(error.to_string().contains("in 3 attempts"), "{error}");
    assert_eq!(server.count("INCR"), 3);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn errors_of_the_command_itself_are_not_retried() {
    for code in [
        "ERR",
        "WRONGTYPE",
        "MISCONF",
        "OOM",
        "NOPERM",
        "MOVED",
        "ASK",
        "CROSSSLOT",
        "UNBLOCKED",
        "BUSYGROUP",
        "EXECABORT",
        "NOSCRIPT",
    ] {
        let refusal: &str = format!("-{code} never").leak();
        let server = answering(&[refusal]);
        let (supervisor, main) = connect(&server).await;
        let error = main.query::<()>(cmd("GET").arg("k")).await;
        assert_eq!(error.expect_err(code).code(), Some(code));
        assert_eq!(server.count("GET"), 1, "{code}");
        supervisor.shutdown(SOON).await;
    }
}

#[tokio::test]
async fn a_failed_script_is_not_sent_again() {
    let server = answering(&["-BUSY says the author", "-BUSY says the author"]);
    let (supervisor, main) = connect(&server).await;
    let script = cmd("EVAL").arg("return 1").arg(0).take();
    let error = main.query::<()>(&script).await.expect_err("its error");
    assert_eq!(error.execution(), Execution::Unknown);
    assert_eq!(server.count("EVAL"), 1);
    // Its author chooses the codes, so not even an idempotent one is.
    let error = main.idempotent().query::<()>(&script).await;
    assert_eq!(
        error.expect_err("its error").execution(),
        Execution::Unknown
    );
    assert_eq!(server.count("EVAL"), 2);
    supervisor.shutdown(SOON).await;
}

/// A server behind a proxy that swallows replies until the connection breaks.
struct BreakingConnection {
    server: RedisServer,
    proxy: FaultProxy,
    supervisor: Supervisor,
    main: Database,
}

impl BreakingConnection {
    async fn start() -> Self {
        let server = RedisServer::start();
        let proxy = FaultProxy::start(server.port());
        let (supervisor, main) = spawn(DatabaseConfig::from_url(proxy.url())).await;
        Self {
            server,
            proxy,
            supervisor,
            main,
        }
    }

    /// Runs a command whose connection breaks after the server has executed it and before the reply.
    async fn call(&self, main: &Database, name: &str) -> Result<i64, Error> {
        let before = self.server.commandstat(name);
        self.proxy.set(Mode::SwallowReplies);
        let call = tokio::spawn({
            let (main, command) = (main.clone(), cmd(name).arg("n").take());
            async move { main.query(command).await }
        });
        eventually_async(SOON, "it was executed", || {
            self.server.commandstat(name) > before
        })
        .await;
        self.proxy.heal();
        self.proxy.reset_all();
        call.await.expect("a task")
    }
}

#[tokio::test]
async fn a_lost_read_is_sent_again_over_a_new_connection() {
    let breaking = BreakingConnection::start().await;
    breaking.server.cli(&["SET", "n", "7"]);
    let reads = breaking.server.commandstat("get");
    assert_eq!(
        breaking
            .call(&breaking.main, "get")
            .await
            .expect("the value"),
        7
    );
    assert_eq!(breaking.server.commandstat("get"), reads + 2);
    assert_eq!(
        breaking.supervisor.statistics().databases["main"].retried,
        1
    );
}

#[tokio::test]
async fn a_lost_write_is_unknown_and_not_sent_again() {
    let breaking = BreakingConnection::start().await;
    let error = breaking
        .call(&breaking.main, "incr")
        .await
        .expect_err("lost");
    assert!(matches!(error, Error::ConnectionLost { .. }), "{error}");
    assert_eq!(error.execution(), Execution::Unknown);
    assert_eq!(breaking.server.commandstat("incr"), 1);
    assert_eq!(
        breaking.supervisor.statistics().databases["main"].retried,
        0
    );
}

#[tokio::test]
async fn idempotent_and_not_idempotent_override_the_default() {
    let breaking = BreakingConnection::start().await;
    let twice = breaking.call(&breaking.main.idempotent(), "incr").await;
    assert_eq!(twice.expect("the second reply"), 2);
    assert_eq!(breaking.server.commandstat("incr"), 2);
    let once = breaking.call(&breaking.main.not_idempotent(), "get").await;
    assert!(once.is_err());
    assert_eq!(breaking.server.commandstat("get"), 1);
}

#[tokio::test]
async fn a_command_that_breaks_its_connection_is_sent_twice_at_most() {
    let server = ScriptedServer::start([Script::replies_then_close::<&str>([])]);
    let (supervisor, main) = connect(&server).await;
    let error = main.query::<()>(cmd("GET").arg("poison")).await;
    let error = error.expect_err("it hangs up each time");
    assert!(error.to_string().contains("in 2 attempts"), "{error}");
    assert_eq!(error.execution(), Execution::Unknown);
    assert_eq!(server.count("GET"), 2);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_pipeline_refused_as_a_whole_is_sent_again() {
    let server = answering(&["-TRYAGAIN a", "-TRYAGAIN b"]);
    let (supervisor, main) = connect(&server).await;
    let mut both = pipe();
    both.incr("a", 1).incr("b", 1);
    let replies: (String, String) = main.pipeline(&both).await.expect("replies");
    assert_eq!(replies, ("OK".into(), "OK".into()));
    assert_eq!(server.count("INCRBY"), 4);
    supervisor.shutdown(SOON).await;

    // A pipeline that ran in part is not sent again.
    let server = answering(&["-TRYAGAIN a"]);
    let (supervisor, main) = connect(&server).await;
    let error = main.pipeline::<(String, String)>(&both).await;
    assert_eq!(error.expect_err("in part").code(), Some("TRYAGAIN"));
    assert_eq!(server.count("INCRBY"), 2);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_refused_second_attempt_leaves_a_pipeline_unknown() {
    // The first connection breaks during the pipeline, and the second leads to a replica.
    let replica = Script::answering(|_| b"-READONLY no writes\r\n".to_vec());
    let server = ScriptedServer::start([Script::replies_then_close::<&str>([]), replica]);
    let (supervisor, main) = connect(&server).await;
    let mut both = pipe();
    both.incr("a", 1).incr("b", 1);
    let error = main.idempotent().pipeline::<(i64, i64)>(&both).await;
    let error = error.expect_err("refused in the end");
    assert_eq!(error.code(), Some("READONLY"));
    assert_eq!(error.execution(), Execution::Unknown, "{error}");
    assert!(error.to_string().contains("in 2 attempts"), "{error}");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn an_open_circuit_ends_the_attempts() {
    // BUSY would be retried after a pause, NOAUTH on the next connection.
    for code in ["BUSY", "NOAUTH"] {
        an_open_circuit_ends_attempts_after(code).await;
    }
}

async fn an_open_circuit_ends_attempts_after(code: &'static str) {
    // The server answers only after the release, with a refusal. It closes later connections, so
    // the circuit stays open.
    let (release, held) = mpsc::channel();
    let held = Mutex::new(held);
    let refusing = Script::answering(move |_| {
        // An error means that the test has ended.
        let _ = held.lock().unwrap().recv();
        format!("-{code} always\r\n").into_bytes()
    });
    let server = ScriptedServer::start([refusing, Script::close()]);
    // Dropped before the server, whose own drop would otherwise wait for it when the test fails.
    let release = release;
    let main = DatabaseConfig::from_url(server.url())
        .attempt_timeout(Duration::from_millis(500))
        .failure_threshold(1);
    let (supervisor, main) = spawn(main).await;
    let call = tokio::spawn({
        let main = main.clone();
        async move { main.query::<()>(cmd("GET").arg("k")).await }
    });
    eventually_async(SOON, "it is sent", || server.count("GET") == 1).await;
    // A timeout meanwhile opens the circuit.
    let patient = main.with_timeout(Duration::from_millis(600));
    let late = patient.query::<()>(cmd("STRLEN").arg("k")).await;
    assert!(late.is_err_and(|error| error.is_timeout()));
    let circuit = || supervisor.statistics().databases["main"].circuit;
    let open = redis_steward::CircuitState::Open;
    eventually_async(SOON, "the circuit is open", || circuit() == open).await;
    release.send(()).expect("a server that waits");
    let error = call.await.expect("a task").expect_err("refused");
    assert_eq!(error.code(), Some(code), "{error}");
    assert!(!error.to_string().contains("attempts"), "{error}");
    for _ in 0..10 {
        let error = main.query::<()>(cmd("GET").arg("k")).await;
        assert!(matches!(error, Err(Error::CircuitOpen { .. })), "{error:?}");
    }
    assert_eq!(server.count("GET"), 1);
    drop(release);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn attempts_end_at_the_deadline_and_the_error_covers_all_of_them() {
    let server = RedisServer::start();
    let main = DatabaseConfig::from_url(server.url())
        .command_timeout(Duration::from_secs(1))
        .failure_threshold(1_000);
    let (supervisor, main) = spawn(main).await;
    server.freeze();
    let call = tokio::spawn({
        let main = main.clone();
        async move { main.query::<()>(cmd("GET").arg("n")).await }
    });
    let in_flight = || supervisor.statistics().databases["main"].in_flight;
    eventually_async(SOON, "it is sent", || in_flight() == 1).await;
    let start = Instant::now();
    server.kill();
    let error = call.await.expect("a task").expect_err("the server is down");
    assert!(start.elapsed() < Duration::from_secs(3));
    match &error {
        Error::TimedOut {
            stage, attempts, ..
        } => assert_eq!((*stage, *attempts), (Stage::Connect, 2), "{error}"),
        other => panic!("{other}"),
    }
    // The second attempt was not sent, and the first may have run.
    assert_eq!(error.execution(), Execution::Unknown, "{error}");
    supervisor.shutdown(SOON).await;
}
