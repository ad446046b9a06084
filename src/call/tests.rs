//! Goal: a call is placed, classified and retried by the rules. Method: the backend is a script of
//! answers, so that no server and no pool is involved.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, atomic::Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

use redis::{cmd, pipe};
use tokio::runtime::Handle;

use super::{unserved::Unserved, *};
use crate::{
    config::{Config, DatabaseConfig, Fallback, resolve},
    execution::Execution,
    messages::Waiting,
    net::{
        Answered, CloseReason, Dialler, Executor, Failure, FixedAddress, Origin, SocketConnector,
    },
    policy::gate_state::GateState,
    sanitize,
};

/// The connection that the script's answers come from.
const CONNECTION: Origin = Origin::Connection(3);

#[derive(Clone, Debug, Default)]
pub(super) struct Script(Arc<Mutex<Played>>);

#[derive(Debug, Default)]
pub(super) struct Played {
    answers: VecDeque<Answer>,
    sent: Vec<String>,
    deadlines: Vec<Instant>,
    later: usize,
    lent: usize,
    distrusted: Vec<Origin>,
}

impl Script {
    pub(super) fn of(answers: impl IntoIterator<Item = Answer>) -> (Self, CallEngine<Self>) {
        Self::on(Config::single("redis://localhost"), answers)
    }

    fn on(config: Config, answers: impl IntoIterator<Item = Answer>) -> (Self, CallEngine<Self>) {
        let script = Self::default();
        script.played().answers.extend(answers);
        let settings = resolve(config).expect("settings");
        let settings = settings.databases[0].clone();
        // Unused: nothing here dials.
        let dialler = Dialler::new(FixedAddress, Arc::new(SocketConnector::default()));
        let state = DatabaseState::new(
            settings,
            None,
            None,
            dialler,
            Arc::new(Executor::new(Handle::try_current().ok())),
            Arc::default(),
            Instant::now().into_std(),
        );
        let engine = CallEngine::on(state, script.clone());
        (script, engine)
    }

    fn played(&self) -> MutexGuard<'_, Played> {
        self.0.lock().expect("no test panicked with the lock")
    }
}

impl Backend for Script {
    fn send(&self, _: &DatabaseState, mut request: Request) {
        let mut played = self.played();
        let words = String::from_utf8_lossy(&request.bytes).into_owned();
        let words = words.split("\r\n").skip(2).step_by(2).collect::<Vec<_>>();
        played.sent.push(words.join(" ").trim().into());
        played.deadlines.push(request.deadline);
        let answer = played.answers.pop_front().expect("an answer is left");
        assert!(request.responder.finish(answer), "a caller waits");
    }

    fn send_later(&self, state: &DatabaseState, request: Request, _: Duration) {
        self.played().later += 1;
        self.send(state, request);
    }

    fn send_elsewhere(&self, state: &DatabaseState, request: Request, origin: Origin) {
        self.played().distrusted.push(origin);
        self.send(state, request);
    }

    fn lend(&self, _: &DatabaseState, waiting: Waiting) {
        self.played().deadlines.push(waiting.deadline);
        // The request is dropped, which tells its caller that the pool has gone.
        self.played().lent += 1;
    }
}

pub(super) fn answered(value: Value) -> Answer {
    Ok(Answered {
        reply: Reply::One(value),
        origin: CONNECTION,
        redirects: None,
    })
}

fn error(line: &str) -> Answer {
    answered(Value::ServerError(sanitize::from_line(line)))
}

fn lost() -> Answer {
    Err(Failure::Lost(
        CloseReason::ClosedByServer.into(),
        Execution::Unknown,
    ))
}

/// The answer of `COMMAND INFO` about a command with these flags and categories.
fn description(flags: &[&str], categories: &[&str]) -> Answer {
    let words = |words: &[&str]| {
        let words = words.iter().map(|word| Value::SimpleString((*word).into()));
        Value::Array(words.collect())
    };
    let place = Value::Int(1);
    let fields = vec![
        Value::BulkString(b"newer".into()),
        Value::Int(-2),
        words(flags),
        place.clone(),
        place.clone(),
        place,
        words(categories),
    ];
    answered(Value::Array(vec![Value::Array(fields)]))
}

#[tokio::test]
async fn a_connection_that_answers_readonly_is_retired_before_the_retry() {
    let (script, engine) = Script::of([error("READONLY replica"), answered(Value::Okay)]);
    let command = cmd("SET").arg("k").arg(1).take();
    let options = engine.options(Overrides::default());
    let reply = engine.execute(&command, &options);
    assert_eq!(reply.await.expect("the second attempt"), Value::Okay);
    let played = script.played();
    assert_eq!(played.distrusted, [CONNECTION]);
    assert_eq!((played.sent.len(), played.later), (2, 0));
}

#[tokio::test]
async fn a_write_whose_reply_was_lost_is_sent_once_and_a_read_twice() {
    let (script, engine) = Script::of([lost()]);
    let written = engine
        .execute(cmd("INCR").arg("k"), &engine.options(Overrides::default()))
        .await;
    assert_eq!(written.expect_err("lost").execution(), Execution::Unknown);
    assert_eq!(script.played().sent, ["INCR k"]);

    let (script, engine) = Script::of([lost(), answered(Value::Int(1))]);
    let read = engine
        .execute(cmd("GET").arg("k"), &engine.options(Overrides::default()))
        .await;
    assert_eq!(read.expect("the second attempt"), Value::Int(1));
    assert_eq!(script.played().sent, ["GET k", "GET k"]);
}

#[tokio::test]
async fn the_server_is_asked_once_for_a_command_that_is_on_no_list() {
    let plain = description(&["write", "fast"], &["@write"]);
    let (script, engine) = Script::of([plain, answered(Value::Okay), answered(Value::Okay)]);
    for _ in 0..2 {
        let command = cmd("NEWER").arg("k").take();
        let options = engine.options(Overrides::default());
        let reply = engine.execute(&command, &options);
        assert_eq!(reply.await.expect("a reply"), Value::Okay);
    }
    let played = script.played();
    assert_eq!(played.sent, ["COMMAND INFO NEWER", "NEWER k", "NEWER k"]);
    assert_eq!(played.deadlines[0], played.deadlines[1], "it is one call");
    assert_ne!(played.deadlines[1], played.deadlines[2]);
}

#[tokio::test]
async fn an_unknown_command_that_blocks_gets_a_connection_of_its_own() {
    let blocks = || description(&["write", "blocking"], &["@blocking"]);
    let (script, engine) = Script::of([blocks()]);
    let refused = engine
        .execute(cmd("NEWER").arg("k"), &engine.options(Overrides::default()))
        .await;
    assert!(
        matches!(refused, Err(Error::Abandoned { .. })),
        "{refused:?}"
    );
    assert_eq!(script.played().lent, 1);

    let (script, engine) = Script::of([blocks()]);
    let mut pipeline = pipe();
    pipeline.get("k").cmd("NEWER").arg("k");
    let refused = engine
        .execute_pipeline(&pipeline, engine.options(Overrides::default()))
        .await;
    assert!(matches!(refused, Err(Error::Abandoned { .. })));
    let played = script.played();
    assert_eq!((played.lent, played.sent.len()), (1, 1));
}

#[tokio::test]
async fn an_unknown_command_that_changes_its_connection_is_refused() {
    for (flags, category) in [("noscript", "@connection"), ("pubsub", "@pubsub")] {
        let (script, engine) = Script::of([description(&[flags], &[category])]);
        let refused = engine
            .execute(cmd("NEWER").arg("k"), &engine.options(Overrides::default()))
            .await;
        let refused = refused.expect_err("it is not run");
        assert_eq!(refused.execution(), Execution::NotSent);
        assert!(
            refused.to_string().contains("NEWER is refused"),
            "{refused}"
        );
        assert_eq!(script.played().sent, ["COMMAND INFO NEWER"]);
    }
}

#[tokio::test]
async fn an_unknown_command_is_plain_if_the_server_may_not_be_asked_for_its_flags() {
    let (script, engine) = Script::of([error("NOPERM no"), answered(Value::Okay)]);
    let command = cmd("NEWER").arg("k").take();
    let options = engine.options(Overrides::default());
    let reply = engine.execute(&command, &options);
    assert_eq!(reply.await.expect("a reply"), Value::Okay);
    assert_eq!(script.played().sent.len(), 2);

    // The server is asked again for a command that it does not know, because a module may bring it.
    let unknown = || answered(Value::Array(vec![Value::Nil]));
    let (script, engine) = Script::of([
        unknown(),
        error("ERR unknown command"),
        unknown(),
        error("ERR unknown command"),
    ]);
    for _ in 0..2 {
        let command = cmd("NEWER").arg("k").take();
        let options = engine.options(Overrides::default());
        let reply = engine.execute(&command, &options);
        assert_eq!(reply.await.expect_err("unknown").code(), Some("ERR"));
    }
    assert_eq!(script.played().sent.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_blocking_command_has_its_time_after_the_question_unless_the_caller_set_one() {
    let blocks = || description(&["blocking"], &["@blocking"]);
    let start = Instant::now();
    let timeout = Duration::from_secs(3);
    for (overrides, is_bounded) in [
        (Overrides::default(), false),
        (Overrides::default().with_timeout(timeout), true),
    ] {
        let (_, engine) = Script::of([blocks()]);
        let options = engine.options(overrides);
        let command = cmd("NEWER").arg("k").take();
        let asked = engine.ask(&command, options).await;
        let (class, options) = asked.expect("an answer");
        let limit = options.time_limit(class.block());
        let deadline = options.deadline(start, limit);
        assert_eq!(deadline == start + timeout, is_bounded, "{overrides:?}");
        assert!(deadline >= start + timeout);
    }
}

#[tokio::test]
async fn nothing_is_learned_from_an_error_that_may_be_over_soon() {
    let busy = || error("BUSY a script runs");
    let (script, engine) = Script::of([busy(), busy(), busy()]);
    let command = cmd("NEWER").arg("k").take();
    let options = engine.options(Overrides::default());
    let refused = engine.execute(&command, &options).await;
    assert_eq!(refused.expect_err("busy").code(), Some("BUSY"));
    assert_eq!(engine.surveyed(&command), Class::Unknown);
    let sent = &script.played().sent;
    assert!(
        sent.iter().all(|words| words == "COMMAND INFO NEWER"),
        "{sent:?}"
    );
}

#[tokio::test]
async fn a_call_that_waits_for_the_end_of_an_outage_is_served_if_it_goes_on() {
    let main = DatabaseConfig::from_url("redis://localhost").fallback(Fallback::memory());
    let (_, engine) = Script::on(Config::new().database("main", main), []);
    let local = &engine.state.local;
    local.begin();
    let refused = Unserved::Refused(engine.explain_gate(GateState::Open));
    // Between its refusal and the store, the circuit has closed.
    engine.state.set_gate(GateState::Trial { at_once: 0 });
    local.begin_recovery();
    let command = cmd("GET").arg("k").take();
    let work = Single {
        command: &command,
        class: engine.class(&command),
    };
    let options = engine.options(Overrides::default());
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut call = Box::pin(engine.stand_in(&work, &options, deadline, refused));
    assert!(futures_util::poll!(&mut call).is_pending());
    // The server has failed again.
    local.begin();
    engine.state.set_gate(GateState::Open);
    let (_, attempts) = call.await.expect("the store serves it");
    assert_eq!(attempts.source, Source::Memory);
}

#[tokio::test(start_paused = true)]
async fn a_patient_call_is_not_served_after_its_deadline() {
    let main = DatabaseConfig::from_url("redis://localhost").fallback(Fallback::memory());
    let (_, engine) = Script::on(Config::new().database("main", main), []);
    engine.state.local.begin();
    engine.state.set_gate(GateState::Open);
    let options = engine.options(Overrides::default().with_patience(true));
    let command = cmd("SET").arg("k").arg("v").take();
    let called = engine.execute(&command, &options).await;
    assert!(matches!(called, Err(Error::TimedOut { .. })), "{called:?}");
    assert_eq!(engine.state.local.figures().served, 0);
    assert_eq!(engine.state.counters.timed_out.load(Relaxed), 1);
}

#[tokio::test]
async fn a_call_with_another_place_is_not_left_to_the_store() {
    let main = DatabaseConfig::from_url("redis://localhost").fallback(Fallback::memory());
    let (_, engine) = Script::on(Config::new().database("main", main), []);
    engine.state.local.begin();
    engine.state.set_gate(GateState::Open);
    let get = cmd("GET").arg("k").take();
    let mut options = engine.options(Overrides::default());
    options.has_other_place = true;
    let called = engine.execute(&get, &options).await;
    assert!(
        matches!(called, Err(Error::CircuitOpen { .. })),
        "{called:?}"
    );
    options.has_other_place = false;
    let called = engine.execute(&get, &options).await;
    assert_eq!(called.expect("the store serves it"), Value::Nil);
}

/// Its fallback was switched on during the outage.
#[tokio::test]
async fn a_call_is_refused_while_the_store_has_not_begun() {
    let main = DatabaseConfig::from_url("redis://localhost").fallback(Fallback::memory());
    let (_, engine) = Script::on(Config::new().database("main", main), []);
    engine.state.set_gate(GateState::Open);
    let get = cmd("GET").arg("k").take();
    let options = engine.options(Overrides::default());
    let mut call = Box::pin(engine.execute(&get, &options));
    let called = futures_util::poll!(&mut call);
    let Poll::Ready(Err(Error::CircuitOpen { .. })) = called else {
        panic!("{called:?}");
    };
    assert_eq!(engine.state.counters.refused.load(Relaxed), 1);
}

/// The circuit has opened between an attempt and its answer.
#[tokio::test]
async fn a_call_that_the_server_has_not_executed_is_served_once_the_circuit_is_open() {
    for (answer, source) in [
        (error("BUSY a script runs"), Some(Source::Memory)),
        (error("MASTERDOWN no primary"), Some(Source::Memory)),
        (
            Err(Failure::Lost(
                CloseReason::ClosedByServer.into(),
                Execution::NotSent,
            )),
            Some(Source::Memory),
        ),
        // It may have run, or is wrong anywhere.
        (lost(), None),
        (error("WRONGTYPE another type"), None),
        (answered(Value::Nil), Some(Source::Redis)),
    ] {
        let main = DatabaseConfig::from_url("redis://localhost").fallback(Fallback::memory());
        let (_, engine) = Script::on(Config::new().database("main", main), []);
        let admitted = engine.state.gate.try_enter().expect("a free gate");
        engine.state.local.begin();
        engine.state.set_gate(GateState::Open);
        let command = cmd("GET").arg("k").take();
        let work = Single {
            command: &command,
            class: engine.class(&command),
        };
        let attempt = Attempt {
            admitted,
            began: Instant::now(),
            deadline: Instant::now() + Duration::from_secs(60),
        };
        let shown = format!("{answer:?}");
        let options = engine.options(Overrides::default());
        let called = engine.call_again(&work, &options, attempt, answer).await;
        let found = called.ok().map(|(_, attempts)| attempts.source);
        assert_eq!(found, source, "{shown}");
    }
}
