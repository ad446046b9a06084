//! Connections that break, and bytes that are lost, cut or nonsense.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use redis::{Cmd, cmd, pipe};
use redis_steward::{CircuitState, DatabaseConfig, Error, Execution, HealthState, Reason, Stage};

use crate::{
    Rig, SOON, assert_in_step, begin,
    common::{
        FaultProxy, Mode, RedisServer, Script, ScriptedServer, eventually_async, resp::bulk, spawn,
    },
    degraded, error_of, error_within, event_of, get, incr, lost, stats,
};

#[tokio::test]
async fn row_09_replies_lost() {
    let rig = Rig::start().await;
    rig.proxy.set(Mode::SwallowReplies);
    let error = error_within(Duration::from_secs(1), &rig.main, &incr()).await;
    match error {
        Error::TimedOut {
            stage, execution, ..
        } => assert_eq!((stage, execution), (Stage::Reply, Execution::Unknown)),
        other => panic!("another error: {other}"),
    }
    assert_eq!(rig.server.cli(&["GET", "n"]), "1", "it ran all the same");
    assert_eq!(rig.server.commandstat("incr"), 1);
    assert_eq!(rig.stats().retried, 0);
    rig.end().await;
}

#[tokio::test]
async fn row_11_reset() {
    let rig = Rig::start().await;
    let mut events = rig.supervisor.subscribe();
    let calls = rig.unanswered(&incr(), 10).await;
    rig.proxy.reset_all();
    rig.proxy.heal();
    for call in calls {
        let error = call.await.expect("a task").expect_err("no reply");
        assert_eq!(lost(&error), 1);
    }
    event_of(&mut events, degraded(Reason::ConnectionLost)).await;
    event_of(&mut events, HealthState::Healthy).await;
    assert_eq!(rig.stats().circuit, CircuitState::Closed);
    let count: i64 = rig.main.query(incr()).await.expect("a new connection");
    assert_eq!(count, 11);
    rig.end().await;
}

#[tokio::test]
async fn row_12_client_kill() {
    let rig = Rig::start().await;
    let calls = rig.unanswered(&incr(), 10).await;
    let kill = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
    assert_eq!(rig.server.cli(&kill), "1", "one connection for all");
    for call in calls {
        let error = call.await.expect("a task").expect_err("no reply");
        assert_eq!(lost(&error), 1);
    }
    rig.proxy.heal();
    let pool = || rig.stats().pool;
    let is_refilled = || (pool().open, pool().opened) == (1, 2);
    eventually_async(SOON, "it is replaced, though nobody asks", is_refilled).await;
    let count: i64 = rig.main.query(incr()).await.expect("a new connection");
    assert_eq!(count, 11, "nothing was sent twice");
    rig.end().await;
}

/// Deviation: the loss of an idle connection is counted and is no event, because nobody felt it.
#[tokio::test]
async fn row_13_server_idle_timeout() {
    let rig = Rig::start().await;
    let mut events = rig.supervisor.subscribe();
    event_of(&mut events, HealthState::Healthy).await;
    assert_eq!(rig.server.cli(&["CONFIG", "SET", "timeout", "1"]), "OK");
    let closed = || rig.stats().pool.lost;
    eventually_async(SOON, "the server has closed it", || closed() > 0).await;
    let count: i64 = rig.main.query(incr()).await.expect("nobody sees it");
    assert_eq!(count, 1);
    let stats = rig.stats();
    assert_eq!((stats.lost, stats.retried), (0, 0));
    rig.supervisor.shutdown(SOON).await;
    let last = events.next().await.expect("an event");
    assert_eq!(last.state, HealthState::Stopped, "nothing happened before");
}

#[tokio::test]
async fn row_35_garbage() {
    let first = AtomicBool::new(true);
    let peer = ScriptedServer::start([Script::answering(move |command| match &*command[0] {
        b"GET" if first.swap(false, Relaxed) => b"?secret-canary\r\n".to_vec(),
        b"GET" => bulk("7"),
        b"INCR" => Vec::new(),
        _ => bulk(&command[1]),
    })]);
    let main = DatabaseConfig::from_url(peer.url()).failure_threshold(10);
    let (supervisor, main) = spawn(main).await;
    let mut events = supervisor.subscribe();
    let others: Vec<_> = (0..10).map(|_| begin(&main, &incr())).collect();
    let received = || peer.count("INCR") == 10;
    eventually_async(SOON, "they are under way", received).await;
    let value: i64 = main.query(get()).await.expect("a read is sent again");
    assert_eq!(value, 7);
    for other in others {
        let error = other.await.expect("a task").expect_err("no reply");
        assert_eq!(lost(&error), 1);
    }
    let event = event_of(&mut events, degraded(Reason::ConnectionLost)).await;
    let cause = event.cause.expect("a cause");
    assert!(cause.contains("malformed"), "{cause}");
    assert!(!cause.contains("canary"), "{cause}");
    assert_eq!(
        stats(&supervisor).circuit,
        CircuitState::Closed,
        "one failure"
    );
    assert_eq!((peer.count("GET"), peer.count("INCR")), (2, 10));
    assert_in_step(&main).await;
    // A reply of another type is well-formed: it ran, and its connection stays.
    let text = main.query::<i64>(cmd("ECHO").arg("text")).await;
    let error = text.expect_err("no number");
    assert!(matches!(error, Error::Conversion { .. }), "{error}");
    assert_eq!(error.execution(), Execution::Executed);
    assert_eq!(stats(&supervisor).pool.lost, 1);
    supervisor.shutdown(SOON).await;

    // A reply that is cut off.
    let rig = Rig::start().await;
    rig.server.cli(&["SETRANGE", "n", "1000", "x"]);
    rig.proxy.set(Mode::CutAfter { reply_bytes: 100 });
    let error = error_of(&rig.main.not_idempotent(), &get()).await;
    assert_eq!(lost(&error), 1);
    rig.end().await;
}

/// Deviation: a read is retried once, because a lost connection does not tell why it was lost; a
/// write never is.
///
/// Many small values: Valkey 9 and Redis 8 do not copy a big one into the buffer, so it does not count.
#[tokio::test]
async fn row_43_output_buffer_limit() {
    let rig = Rig::with(|main| main.failure_threshold(10)).await;
    let value = "x".repeat(1_000);
    let mut fill = vec!["RPUSH", "list"];
    fill.resize(1_002, &value);
    assert_eq!(rig.server.cli(&fill), "1000");
    let limit = "normal 100000 0 0";
    let set = ["CONFIG", "SET", "client-output-buffer-limit", limit];
    assert_eq!(rig.server.cli(&set), "OK");
    let all = cmd("LRANGE").arg("list").arg(0).arg(-1).take();
    let error = error_of(&rig.main, &all).await;
    assert_eq!(lost(&error), 2);
    assert_eq!(rig.server.commandstat("lrange"), 2);
    let script = "return redis.call('LRANGE', 'list', 0, -1)";
    let error = error_of(&rig.main, cmd("EVAL").arg(script).arg(0)).await;
    assert_eq!(lost(&error), 1);
    assert_eq!(rig.server.commandstat("eval"), 1);
    assert_eq!(rig.stats().circuit, CircuitState::Closed);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_44_big_pipeline() {
    // Neither side's sockets hold more than a few of the requests or replies.
    let server = RedisServer::start();
    let proxy = FaultProxy::with_buffers(server.port(), 4096);
    // On a busy machine nothing may be read for as long as the system would wait.
    let main = DatabaseConfig::from_url(proxy.url()).without_tcp_user_timeout();
    let (supervisor, main) = spawn(main).await;
    let value = "x".repeat(1 << 20);
    let mut echoes = pipe();
    for _ in 0..64 {
        echoes.add_command(Cmd::new().arg("ECHO").arg(&value).take());
    }
    let patient = main.with_timeout(Duration::from_secs(60));
    let replies: Vec<String> = patient.pipeline(&echoes).await.expect("all of it");
    assert!(replies.len() == 64 && replies.iter().all(|it| *it == value));
    supervisor.shutdown(SOON).await;
}
