//! The server works but refuses some commands, or all commands for a while.

use std::{fs, sync::Arc, time::Duration};

use redis::{ErrorKind, Script as LuaScript, ServerErrorKind, Value, cmd, pipe};
use redis_steward::{
    CircuitState, DatabaseConfig, Error,
    Execution::{Executed, NotExecuted, Unknown},
    HealthState, Reason,
};

use crate::{
    Rig, SOON, begin,
    common::{RedisServer, eventually_async, left_out_on_embedded, older_than, spawn},
    degraded, error_of, event_of, event_of_outage, get, incr, refusal, stats,
};

#[tokio::test]
async fn row_19_misconf() {
    if left_out_on_embedded() {
        return;
    }
    // The server refuses PING as well, so probes see the error too.
    let rig = Rig::with(|main| main.health_check_interval(Duration::from_millis(50))).await;
    let mut events = rig.supervisor.subscribe();
    // A folder in the place of the file has the effect of a full disk.
    let dump = rig.server.dir().join("dump.rdb");
    fs::create_dir(&dump).expect("a folder");
    let set = ["CONFIG", "SET", "save", "3600 1"];
    assert_eq!(rig.server.cli(&set), "OK");
    let save = || rig.server.cli(&["BGSAVE"]);
    let status = || rig.server.info("persistence")["rdb_last_bgsave_status"].clone();
    save();
    eventually_async(SOON, "it cannot save", || status() == "err").await;

    for _ in 0..10 {
        let error = error_of(&rig.main, &incr()).await;
        assert_eq!(refusal(&error), ("MISCONF", NotExecuted, 1));
    }
    event_of(&mut events, degraded(Reason::CannotSave)).await;
    let refused = || rig.server.errorstat("MISCONF");
    let before = refused();
    eventually_async(SOON, "it is probed", || refused() >= before + 5).await;
    let value: Option<i64> = rig.main.query(get()).await.expect("a read");
    assert_eq!(value, None);
    assert_eq!(rig.stats().circuit, CircuitState::Closed);
    assert_eq!(rig.stats().health, degraded(Reason::CannotSave));

    fs::remove_dir(&dump).expect("an empty folder");
    save();
    eventually_async(SOON, "it can save again", || status() == "ok").await;
    event_of(&mut events, HealthState::Healthy).await;
    let count: i64 = rig.main.query(incr()).await.expect("a write");
    assert_eq!(count, 1);
    rig.end().await;
}

#[tokio::test]
async fn row_20_oom() {
    let rig = Rig::start().await;
    let mut events = rig.supervisor.subscribe();
    let limit = |bytes| ["CONFIG", "SET", "maxmemory", bytes];
    assert_eq!(rig.server.cli(&limit("1")), "OK");
    for _ in 0..10 {
        let error = error_of(&rig.main, &incr()).await;
        assert_eq!(refusal(&error), ("OOM", NotExecuted, 1));
    }
    assert_eq!(rig.server.errorstat("OOM"), 10);
    event_of(&mut events, degraded(Reason::OutOfMemory)).await;
    let value: Option<i64> = rig.main.query(get()).await.expect("a read");
    assert_eq!(value, None);
    assert_eq!(rig.stats().circuit, CircuitState::Closed);
    assert_eq!(rig.stats().health, degraded(Reason::OutOfMemory));

    assert_eq!(rig.server.cli(&limit("0")), "OK");
    event_of(&mut events, HealthState::Healthy).await;
    let count: i64 = rig.main.query(incr()).await.expect("a write");
    assert_eq!(count, 1);
    rig.end().await;
}

#[tokio::test]
async fn row_21_busy_script() {
    if left_out_on_embedded() {
        return;
    }
    // Since 7.0 it is called busy-reply-threshold, too.
    let server = RedisServer::builder().arg("lua-time-limit", "50");
    let server = Arc::new(server.start());
    let main = DatabaseConfig::from_url(server.url()).failure_threshold(20);
    let (supervisor, main) = spawn(main).await;
    let mut events = supervisor.subscribe();
    let script = tokio::task::spawn_blocking({
        let server = server.clone();
        move || server.try_command(&["EVAL", "while true do end", "0"])
    });
    let is_busy = || server.cli(&["PING"]).starts_with("BUSY");
    eventually_async(SOON, "it runs the script", is_busy).await;

    let error = error_of(&main, &incr()).await;
    assert_eq!(refusal(&error), ("BUSY", NotExecuted, 3));
    event_of(&mut events, degraded(Reason::Busy)).await;
    while stats(&supervisor).circuit == CircuitState::Closed {
        // The first call that finds the circuit open is the last.
        error_of(&main, &incr()).await;
    }
    event_of_outage(&mut events, Reason::Busy).await;

    assert_eq!(server.cli(&["SCRIPT", "KILL"]), "OK");
    script.await.expect("a task").expect("its error reply");
    if !older_than(7, 0, "a count of each subcommand") {
        assert_eq!(server.commandstat("script|kill"), 1, "only this test's own");
    }
    assert_eq!(server.commandstat("incr"), 0);
    supervisor.ready(SOON).await.expect("ready again");
    let count: i64 = main.query(incr()).await.expect("its reply");
    assert_eq!(count, 1);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_22_noscript() {
    let rig = Rig::start().await;
    let script = LuaScript::new("return redis.call('INCR', KEYS[1])");
    let mut main = rig.main.clone();
    for expected in 1..=2 {
        assert_eq!(rig.server.cli(&["SCRIPT", "FLUSH"]), "OK");
        let count: i64 = script.key("n").invoke_async(&mut main).await.expect("runs");
        assert_eq!(count, expected);
    }
    if !older_than(7, 0, "a count of each subcommand") {
        assert_eq!(rig.server.commandstat("script|load"), 2, "each time once");
    }
    assert_eq!(rig.server.commandstat("incr"), 2);
    let unknown = cmd("EVALSHA").arg("0".repeat(40)).arg(0).take();
    let error = error_of(&rig.main, &unknown).await;
    assert_eq!(refusal(&error), ("NOSCRIPT", NotExecuted, 1));
    // A failed script may have written.
    let body = "redis.call('SET', KEYS[1], 'written'); return redis.error_reply('ERR late')";
    let failing = cmd("EVAL").arg(body).arg(1).arg("k").take();
    let error = error_of(&rig.main, &failing).await;
    assert_eq!(refusal(&error), ("ERR", Unknown, 1));
    assert_eq!(rig.server.cli(&["GET", "k"]), "written");
    assert_eq!(rig.stats().circuit, CircuitState::Closed);
    rig.end().await;
}

/// WATCH needs a lease. Conflicts are tested in `leases/transactions.rs`.
#[tokio::test]
async fn row_23_execabort() {
    let rig = Rig::start().await;
    let mut aborted = pipe();
    aborted.atomic().incr("n", 1);
    aborted.cmd("NO-SUCH-COMMAND").arg("hunter2-canary");
    let error = rig.main.pipeline::<(i64, i64)>(&aborted).await;
    let error = error.expect_err("aborted");
    assert_eq!(refusal(&error), ("EXECABORT", NotExecuted, 1));
    assert_eq!(rig.server.cli(&["DBSIZE"]), "0");
    assert_eq!(rig.server.commandstat("multi"), 1, "not sent again");
    let cause = "Index 1, error: ResponseError: unknown command";
    assert!(error.to_string().contains(cause), "{error}");
    let text = format!("{error} {error:?}");
    assert!(!text.contains("canary"), "{text}");
    let through_redis = aborted.query_async::<Value>(&mut rig.main.clone()).await;
    let error = through_redis.expect_err("aborted");
    assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::ExecAbort));

    let mut partial = pipe();
    partial.atomic().incr("n", 1).lpush("n", "no list");
    let error = rig.main.pipeline::<(i64, i64)>(&partial).await;
    let error = error.expect_err("its second command failed");
    assert_eq!(refusal(&error), ("WRONGTYPE", Executed, 1));
    assert_eq!(rig.server.cli(&["GET", "n"]), "1", "the first one ran");
    assert_eq!(rig.server.commandstat("multi"), 3);

    let error = error_of(&rig.main, cmd("WATCH").arg("n")).await;
    assert!(matches!(error, Error::CommandRefused { .. }), "{error}");
    assert_eq!(rig.stats().circuit, CircuitState::Closed);
    rig.end().await;
}

#[tokio::test]
async fn row_34_unblocked() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start().await;
    let call = begin(&rig.main, cmd("BLPOP").arg("list").arg(0));
    let is_blocked = || rig.server.info("clients")["blocked_clients"] == "1";
    eventually_async(SOON, "it waits", is_blocked).await;
    // It becomes a replica of a server that does not exist.
    rig.server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    let error = call.await.expect("a task").expect_err("unblocked");
    assert_eq!(refusal(&error), ("UNBLOCKED", NotExecuted, 1));
    // Either side may close first: the server disconnects it, too.
    let is_closed = || {
        let pool = rig.stats().pool;
        (pool.discarded + pool.lost, pool.closing) == (1, 0)
    };
    eventually_async(SOON, "its connection is closed", is_closed).await;
    assert_eq!((rig.stats().pool.in_use, rig.stats().pool.idle), (0, 0));
    assert_eq!(rig.stats().circuit, CircuitState::Closed);
    rig.server.cli(&["REPLICAOF", "NO", "ONE"]);
    rig.end().await;
}
