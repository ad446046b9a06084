//! Goal: each fault of `docs/faults.md` has the promised consequences and no others: a truthful error by
//! the deadline, a retry where that is safe, and a circuit and events that name the problem. Method:
//! tests named by the row of the matrix, against a real server, a proxy in front of it, or a scripted
//! peer; the counters of the server confirm the result. The matrix also lists rows that are tested
//! elsewhere or not at all.

#[path = "../common/mod.rs"]
mod common;

mod access;
mod circuit;
mod cluster;
mod down;
mod fixtures;
mod flapping;
mod greeting;
mod handoff;
mod hostile;
mod idle_close;
mod large_replies;
mod limits;
mod loading;
mod local;
mod logging;
mod order;
mod patience;
mod pushes;
mod questions;
mod recovery;
mod refusals;
mod replicas;
mod replies;
mod restart;
mod served;
mod stalls;
mod standstill;
mod wire;
mod workers;

use std::time::{Duration, Instant};

use redis::{Cmd, Value, cmd};
use redis_steward::{
    CircuitState, Database, DatabaseConfig, DatabaseStats, Error, Execution, HealthEvent,
    HealthEvents, HealthState, Reason, Supervisor,
};
use tokio::task::JoinHandle;

use crate::common::{FaultProxy, Mode, RedisServer, eventually_async, proc::sockets_to};

/// The bound of every wait.
const SOON: Duration = Duration::from_secs(20);
/// How late a call may end on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

type Call = JoinHandle<Result<i64, Error>>;

/// A server behind a proxy, and a healthy database that connects through it.
struct Rig {
    server: RedisServer,
    proxy: FaultProxy,
    supervisor: Supervisor,
    main: Database,
}

impl Rig {
    async fn start() -> Self {
        Self::with(|main| main).await
    }

    /// With changed settings.
    async fn with(settings: impl FnOnce(DatabaseConfig) -> DatabaseConfig) -> Self {
        let server = RedisServer::start();
        let proxy = FaultProxy::start(server.port());
        let main = settings(DatabaseConfig::from_url(proxy.url()));
        let (supervisor, main) = common::spawn(main).await;
        Self {
            server,
            proxy,
            supervisor,
            main,
        }
    }

    fn stats(&self) -> DatabaseStats {
        stats(&self.supervisor)
    }

    /// Calls that the server has executed and whose replies are lost.
    async fn begin_unanswered(&self, command: &Cmd, calls: u64) -> Vec<Call> {
        let name = name(command);
        let before = self.server.commandstat(&name);
        self.proxy.set(Mode::SwallowReplies);
        let calls: Vec<_> = (0..calls).map(|_| begin(&self.main, command)).collect();
        let executed = || self.server.commandstat(&name) - before == calls.len() as u64;
        eventually_async(SOON, "the server has executed them", executed).await;
        calls
    }

    /// Limits the output buffer of the server. Returns a read whose reply does not fit into it.
    ///
    /// It has many small values: Valkey 9 and Redis 8 do not copy a big value into the buffer, so it does not
    /// count.
    fn fill_beyond_the_output_buffer(&self) -> Cmd {
        let value = "x".repeat(1_000);
        let mut fill = vec!["RPUSH", "list"];
        fill.resize(1_002, &value);
        assert_eq!(self.server.cli(&fill), "1000");
        let limit = "normal 100000 0 0";
        let set = ["CONFIG", "SET", "client-output-buffer-limit", limit];
        assert_eq!(self.server.cli(&set), "OK");
        cmd("LRANGE").arg("list").arg(0).arg(-1).take()
    }

    async fn end(self) {
        self.supervisor.shutdown(SOON).await;
        assert_eq!(sockets_to(self.proxy.port()), 0, "nothing is left");
    }
}

fn stats(supervisor: &Supervisor) -> DatabaseStats {
    supervisor.statistics().databases["main"].clone()
}

async fn until_open(supervisor: &Supervisor) {
    let is_open = || stats(supervisor).circuit == CircuitState::Open;
    eventually_async(SOON, "the circuit is open", is_open).await;
}

fn incr() -> Cmd {
    cmd("INCR").arg("n").take()
}

fn get() -> Cmd {
    cmd("GET").arg("n").take()
}

fn name(command: &Cmd) -> String {
    match command.args_iter().next() {
        Some(redis::Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned(),
        _ => panic!("a command without a name"),
    }
}

/// Starts a call in a task.
fn begin(database: &Database, command: &Cmd) -> Call {
    let (database, command) = (database.clone(), command.clone());
    tokio::spawn(async move { database.query(command).await })
}

/// The error of a call with this timeout. It must arrive in time.
async fn error_within(timeout: Duration, database: &Database, command: &Cmd) -> Error {
    let start = Instant::now();
    let result = database.with_timeout(timeout).query::<Value>(command).await;
    let took = start.elapsed();
    assert!(took < timeout + SLACK, "{took:?}: {result:?}");
    result.expect_err("an error was injected")
}

/// The error of a call that does not time out.
async fn error_of(database: &Database, command: &Cmd) -> Error {
    let error = error_within(SOON, database, command).await;
    assert!(!error.is_timeout(), "{error}");
    error
}

/// The error code of the server, the execution state, and the number of attempts.
#[track_caller]
fn refusal(error: &Error) -> (&str, Execution, u32) {
    match error {
        Error::Server {
            code,
            execution,
            attempts,
            ..
        } => (code, *execution, *attempts),
        other => panic!("no reply of the server: {other}"),
    }
}

/// Checks that the connection was lost and execution is unknown. Returns the number of attempts.
#[track_caller]
fn lost(error: &Error) -> u32 {
    match error {
        Error::ConnectionLost {
            execution: Execution::Unknown,
            attempts,
            ..
        } => *attempts,
        other => panic!("another error: {other}"),
    }
}

fn degraded(reason: Reason) -> HealthState {
    HealthState::Degraded { reason }
}

/// The first event that the condition accepts.
async fn event(
    events: &mut HealthEvents,
    mut is_it: impl FnMut(&HealthEvent) -> bool,
) -> HealthEvent {
    let mut seen = Vec::new();
    let search = async {
        loop {
            let event = events.next().await.expect("an event");
            seen.push(event.to_string());
            if is_it(&event) {
                return event;
            }
        }
    };
    let found = tokio::time::timeout(SOON, search).await;
    found.unwrap_or_else(|_| panic!("not among {seen:#?}"))
}

/// The first event of this state.
async fn event_of(events: &mut HealthEvents, state: HealthState) -> HealthEvent {
    event(events, |event| event.state == state).await
}

/// The event of the circuit opening for this reason.
async fn event_of_outage(events: &mut HealthEvents, expected: Reason) -> HealthEvent {
    let is_it = |event: &HealthEvent| match event.state {
        HealthState::Down { reason, .. } => reason == expected,
        _ => false,
    };
    event(events, is_it).await
}

/// Checks that every reply belongs to its own command.
async fn assert_own_replies(database: &Database) {
    for turn in 0..50 {
        let nonce = format!("nonce-{turn}");
        let echo: String = database
            .query(cmd("ECHO").arg(&nonce))
            .await
            .expect("an echo");
        assert_eq!(echo, nonce);
    }
}
