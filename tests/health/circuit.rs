//! Goal: the circuit opens after consecutive failures, refuses without touching the server, and closes
//! after successful probes; the events report each change. Method: real servers that die and return, a
//! proxy, and a scripted peer; states are read from events and statistics.

use std::time::{Duration, Instant};

use redis::cmd;
use redis_steward::{
    CircuitState, Config, DatabaseConfig, Error, Execution, HealthEvent, HealthEvents, HealthState,
    Reason, Supervisor,
};

use crate::common::{
    FaultProxy, Mode, RedisServer, Script, ScriptedServer, eventually_async, spawn,
};

const SOON: Duration = Duration::from_secs(10);

fn circuit(supervisor: &Supervisor) -> CircuitState {
    supervisor.statistics().databases["main"].circuit
}

/// Collects events up to the first that the condition accepts.
async fn until(
    events: &mut HealthEvents,
    mut condition: impl FnMut(&HealthEvent) -> bool,
) -> Vec<HealthEvent> {
    let mut seen = Vec::new();
    let collect = async {
        loop {
            let event = events.next().await.expect("an event");
            let is_last = condition(&event);
            seen.push(event);
            if is_last {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, collect)
        .await
        .expect("the awaited event");
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_tell_an_outage_once_and_in_order() {
    let server = RedisServer::start();
    let (supervisor, _main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let mut events = supervisor.subscribe();
    server.kill();
    let is_down = |event: &HealthEvent| matches!(event.state, HealthState::Down { .. });
    let mut seen = until(&mut events, is_down).await;
    server.restart();
    seen.extend(until(&mut events, |event| event.state == HealthState::Healthy).await);

    let story: Vec<_> = seen
        .iter()
        .map(|event| (event.state.clone(), event.circuit))
        .collect();
    assert_eq!(
        story[0],
        (HealthState::Healthy, CircuitState::Closed),
        "the current state first"
    );
    let circuits: Vec<_> = story.iter().map(|(_, circuit)| *circuit).collect();
    let mut changes = circuits.clone();
    changes.dedup();
    use CircuitState::{Closed, HalfOpen, Open};
    assert_eq!(changes, [Closed, Open, HalfOpen, Closed], "{story:?}");
    let unreachable = HealthState::Degraded {
        reason: Reason::Unreachable,
    };
    assert!(story.contains(&(unreachable, Closed)), "{story:?}");
    for pair in seen.windows(2) {
        assert_eq!(pair[0].sequence + 1, pair[1].sequence, "none is missing");
        assert_ne!(
            (&pair[0].state, pair[0].circuit),
            (&pair[1].state, pair[1].circuit),
            "each is a change"
        );
    }
    let down = seen.iter().find_map(|event| match event.state {
        HealthState::Down { retry_after, .. } => Some(retry_after),
        _ => None,
    });
    assert!(
        down.is_some_and(|pause| !pause.is_zero()),
        "{down:?}: when it is probed next"
    );
    let last = seen.last().expect("events");
    let stats = &supervisor.statistics().databases["main"];
    assert_eq!((&stats.health, stats.circuit), (&last.state, last.circuit));
    supervisor.shutdown(SOON).await;
    let rest = until(&mut events, |event| event.state == HealthState::Stopped).await;
    assert_eq!(rest.len(), 1);
    assert!(events.next().await.is_none(), "the stream ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_circuit_refuses_at_once_and_sends_nothing() {
    // The server works and only its replies are lost, so it would count a command that was not refused.
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let main = DatabaseConfig::from_url(proxy.url())
        .command_timeout(Duration::from_millis(400))
        .attempt_timeout(Duration::from_millis(200))
        .connect_timeout(Duration::from_millis(200));
    let (supervisor, main) = spawn(main).await;
    proxy.set(Mode::SwallowReplies);
    let incr = cmd("INCR").arg("n").take();
    let calls: Vec<_> = (0..5).map(|_| main.query::<i64>(&incr)).collect();
    for result in futures_util::future::join_all(calls).await {
        let error = result.expect_err("no replies");
        assert_eq!(error.execution(), Execution::Unknown, "{error}");
    }
    let is_open = || circuit(&supervisor) == CircuitState::Open;
    eventually_async(SOON, "five failures in a row open it", is_open).await;

    let reached = server.commandstat("incr");
    let start = Instant::now();
    for _ in 0..1_000 {
        let error = main
            .query::<i64>(cmd("INCR").arg("n"))
            .await
            .expect_err("open");
        match error {
            Error::CircuitOpen {
                reason,
                retry_after,
                ..
            } => {
                assert_eq!(reason, Reason::Unresponsive);
                // The bound holds also while a probe is in flight.
                assert!(retry_after >= Duration::from_millis(25), "{retry_after:?}");
            }
            // No probe can succeed while replies are swallowed.
            other => panic!("{other}"),
        }
        assert_eq!(error.execution(), Execution::NotSent);
    }
    assert!(
        start.elapsed() < Duration::from_millis(400),
        "refused calls wait for nothing"
    );
    assert_eq!(
        server.commandstat("incr"),
        reached,
        "nothing reached the server"
    );

    proxy.heal();
    supervisor.ready(SOON).await.expect("closed again");
    let _: i64 = main.query(cmd("INCR").arg("n")).await.expect("works again");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn errors_of_commands_never_open_the_circuit() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let _: () = main
        .query(cmd("SET").arg("text").arg("no list"))
        .await
        .expect("set");
    for _ in 0..50 {
        for (command, code) in [
            (cmd("LPUSH").arg("text").arg(1).take(), "WRONGTYPE"),
            (cmd("EVALSHA").arg("0".repeat(40)).arg(0).take(), "NOSCRIPT"),
            (
                cmd("EVAL")
                    .arg("return redis.error_reply('OOPS it')")
                    .arg(0)
                    .take(),
                "OOPS",
            ),
            (cmd("GET").take(), "ERR"),
        ] {
            let error = main.execute(&command).await.expect_err("an error reply");
            assert_eq!(error.code(), Some(code), "{error}");
        }
    }
    assert_eq!(circuit(&supervisor), CircuitState::Closed);
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_database_does_not_delay_another() {
    let alive = RedisServer::start();
    let dead = RedisServer::start();
    let config = Config::new()
        .database("alive", DatabaseConfig::from_url(alive.url()))
        .database("dead", DatabaseConfig::from_url(dead.url()));
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let database = supervisor.database("alive").expect("alive");
    dead.kill();
    let is_down = || supervisor.statistics().databases["dead"].circuit == CircuitState::Open;
    let mut calls = 0;
    while !is_down() {
        let patient = database.with_timeout(Duration::from_millis(250));
        let pong: String = patient.query(cmd("PING")).await.expect("undisturbed");
        assert_eq!(pong, "PONG");
        calls += 1;
    }
    assert!(calls > 100, "{calls} calls during the outage");
    assert_eq!(
        supervisor.statistics().databases["alive"].health,
        HealthState::Healthy
    );
    let error = supervisor
        .ready(Duration::from_millis(50))
        .await
        .expect_err("one is down");
    let text = error.to_string();
    assert!(text.contains("dead") && !text.contains("alive"), "{text}");
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_endpoint_is_probed_once_for_many_databases() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let config = (0..100).fold(Config::new(), |config, number| {
        let database = DatabaseConfig::from_url(proxy.url()).number(number % 16);
        config.database(format!("database-{number}"), database)
    });
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let all = |circuit: CircuitState| {
        let stats = supervisor.statistics();
        stats
            .databases
            .values()
            .all(|stats| stats.circuit == circuit)
    };
    // The proxy accepts and resets each connection, and so counts every attempt.
    server.kill();
    eventually_async(SOON, "all circuits are open", || all(CircuitState::Open)).await;
    let before = proxy.accepted();
    let start = Instant::now();
    // The test measures a rate, for one second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let attempts = proxy.accepted() - before;
    let elapsed = start.elapsed().as_secs_f64();
    assert!(attempts >= 5, "only {attempts} attempts in {elapsed} s");
    assert!(
        (attempts as f64) < 60.0 * elapsed,
        "{attempts} attempts in {elapsed} s"
    );
    server.restart();
    supervisor.ready(SOON).await.expect("all are back");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn every_database_is_probed_at_its_interval() {
    let server = RedisServer::start();
    let main =
        DatabaseConfig::from_url(server.url()).health_check_interval(Duration::from_millis(100));
    let (supervisor, _main) = spawn(main).await;
    let probes = || server.commandstat("ping");
    let before = probes();
    eventually_async(SOON, "it is probed again and again", || {
        probes() >= before + 5
    })
    .await;
    let pool = &supervisor.statistics().databases["main"].pool;
    assert_eq!(
        (pool.open, pool.opened),
        (1, 1),
        "probes have connections of their own"
    );
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_server_that_only_answers_handshakes_opens_the_circuit() {
    // Handshakes and probes succeed, but no command is answered.
    let peer = ScriptedServer::start([Script::answering(|_| Vec::new())]);
    let main = DatabaseConfig::from_url(peer.url())
        .command_timeout(Duration::from_millis(200))
        .attempt_timeout(Duration::from_millis(100));
    let (supervisor, main) = spawn(main).await;
    let start = Instant::now();
    let mut unanswered = 0;
    while circuit(&supervisor) != CircuitState::Open {
        assert!(
            start.elapsed() < SOON,
            "{unanswered} commands, and it is closed"
        );
        let result = main.query::<i64>(cmd("INCR").arg("n")).await;
        unanswered += i32::from(result.is_err());
    }
    assert!(unanswered >= 5, "{unanswered}");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn short_deadlines_do_not_open_the_circuit() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let (supervisor, main) = spawn(DatabaseConfig::from_url(proxy.url())).await;
    proxy.set(Mode::Delay {
        requests: Duration::from_millis(10),
        replies: Duration::from_millis(10),
    });
    let hasty = main.with_timeout(Duration::from_millis(5));
    for _ in 0..20 {
        let error = hasty.query::<i64>(cmd("INCR").arg("n")).await;
        assert!(error.expect_err("too late").is_timeout());
    }
    let _: i64 = main.query(cmd("INCR").arg("n")).await.expect("in time");
    assert_eq!(circuit(&supervisor), CircuitState::Closed);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn error_codes_of_scripts_do_not_count_against_the_server() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let script = "redis.call('incr', 'n') return redis.error_reply('BUSY the lock is held')";
    for _ in 0..10 {
        let eval = cmd("EVAL").arg(script).arg(0).take();
        let error = main.execute(&eval).await.expect_err("an error reply");
        assert_eq!(error.execution(), Execution::Unknown, "it has written");
        let pipeline = redis::pipe().add_command(eval).clone();
        let error = main
            .pipeline::<()>(pipeline)
            .await
            .expect_err("an error reply");
        assert_eq!(error.execution(), Execution::Unknown, "it has written");
    }
    let count: i64 = main.query(cmd("GET").arg("n")).await.expect("get");
    assert_eq!(count, 20);
    assert_eq!(circuit(&supervisor), CircuitState::Closed);
    supervisor.shutdown(SOON).await;
}
