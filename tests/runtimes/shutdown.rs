//! Goal: a shutdown gives every call a truthful result and leaves nothing behind (row 51 of
//! `docs/faults.md`). Method: calls in flight on a real server that is frozen or slow, and then the
//! contents of /proc and CLIENT LIST.

use std::time::Duration;

use redis::cmd;
use redis_steward::{Config, Database, DatabaseConfig, Error, Execute, Execution, Supervisor};
use tokio::sync::MutexGuard;

use crate::{
    ALONE,
    common::{
        RedisServer, eventually_async,
        proc::{sockets_to, threads_named},
    },
};

const SOON: Duration = Duration::from_secs(10);

async fn spawn(server: &RedisServer) -> (Supervisor, Database) {
    let config = Config::new()
        .database("main", DatabaseConfig::from_url(server.url()))
        .database("other", DatabaseConfig::from_url(server.url()).number(1));
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let main = supervisor.database("main").expect("main");
    (supervisor, main)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duration_max_is_a_valid_grace_and_timeout() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    let (supervisor, main) = spawn(&server).await;
    let patient = main.with_timeout(Duration::MAX);
    let pong: String = patient.query(cmd("PING")).await.expect("ping");
    assert_eq!(pong, "PONG");
    let execute = Execute::new(cmd("PING")).timeout(Duration::MAX);
    let pong = main.recipient().send(execute).await.expect("a pool");
    assert_eq!(
        pong.expect("ping"),
        redis::Value::SimpleString("PONG".into())
    );
    server.freeze();
    let calls = start_calls(&main, 1);
    let in_flight = || supervisor.statistics().databases["main"].in_flight;
    eventually_async(SOON, "it is in flight", || in_flight() == 1).await;
    let shutdown = tokio::spawn({
        let supervisor = supervisor.clone();
        async move { supervisor.shutdown(Duration::MAX).await }
    });
    let is_closed = || {
        let ping = main.with_timeout(Duration::from_millis(5));
        let error = futures_executor::block_on(ping.query::<()>(cmd("PING")));
        matches!(error, Err(Error::ShuttingDown { .. }))
    };
    eventually_async(SOON, "the gate is closed", is_closed).await;
    server.thaw();
    assert_eq!(shutdown.await.expect("shutdown").completed, 1);
    for call in calls {
        call.await.expect("task").expect("its reply");
    }
    assert_nothing_left(&server, turn).await;
}

/// Checks that no thread, socket, client or task is left.
async fn assert_nothing_left(server: &RedisServer, turn: MutexGuard<'_, ()>) {
    // The kernel lists a thread for a moment after it was joined.
    let is_gone = || threads_named("redis-steward").is_empty();
    eventually_async(SOON, "no thread is left", is_gone).await;
    assert_eq!(sockets_to(server.port()), 0);
    // The server notices a moment later.
    let clients = || server.clients_named("redis-steward").len();
    eventually_async(SOON, "the server has no client of ours", || clients() == 0).await;
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(tasks, 0, "tasks");
    drop(turn);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_leaves_no_thread_socket_or_task() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    for _ in 0..20 {
        let (supervisor, main) = spawn(&server).await;
        let pong: String = main.query(cmd("PING")).await.expect("ping");
        assert_eq!(pong, "PONG");
        let report = supervisor.shutdown(SOON).await;
        assert_eq!((report.completed, report.unfinished), (0, 0));
    }
    assert_nothing_left(&server, turn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_in_flight_finish_within_the_grace_and_new_ones_are_refused() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    let (supervisor, main) = spawn(&server).await;
    server.freeze();
    let calls = start_calls(&main, 100);
    let in_flight = || supervisor.statistics().databases["main"].in_flight;
    eventually_async(SOON, "all are in flight", || in_flight() == 100).await;

    let shutdown = tokio::spawn({
        let supervisor = supervisor.clone();
        async move { supervisor.shutdown(SOON).await }
    });
    // The gate closes before anything is drained.
    let error = loop {
        match main
            .with_timeout(Duration::from_millis(20))
            .query::<()>(cmd("PING"))
            .await
        {
            Err(error @ Error::ShuttingDown { .. }) => break error,
            other => drop(other),
        }
    };
    assert_eq!(error.execution(), Execution::NotSent);
    server.thaw();
    for call in calls {
        call.await
            .expect("task")
            .expect("finished within the grace");
    }
    let report = shutdown.await.expect("shutdown");
    assert!(report.completed >= 100, "{report:?}");
    // The last PING above may have been in flight when the shutdown began.
    assert!(report.unfinished <= 1, "{report:?}");
    let again = supervisor.shutdown(SOON).await;
    assert_eq!(again, report, "it is idempotent");
    assert_nothing_left(&server, turn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_cut_off_by_the_shutdown_are_unknown() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    let (supervisor, main) = spawn(&server).await;
    server.freeze();
    let written = start_calls(&main, 50);
    let in_flight = || supervisor.statistics().databases["main"].in_flight;
    eventually_async(SOON, "they are in flight", || in_flight() == 50).await;
    let report = supervisor.shutdown(Duration::from_millis(300)).await;
    assert_eq!((report.completed, report.unfinished), (0, 50));
    for call in written {
        let error = call.await.expect("task").expect_err("the server is frozen");
        assert!(matches!(error, Error::ShuttingDown { .. }), "{error}");
        assert_eq!(error.execution(), Execution::Unknown, "{error}");
    }
    server.thaw();
    assert_nothing_left(&server, turn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_wait_for_a_connection_were_not_sent() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    let main = DatabaseConfig::from_url(server.url()).failure_threshold(10_000);
    let supervisor = Supervisor::spawn(Config::new().database("main", main))
        .await
        .expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let main = supervisor.database("main").expect("main");
    server.kill();
    let failures = || supervisor.statistics().databases["main"].pool.dial_failures;
    eventually_async(SOON, "the loss is noticed", || failures() > 0).await;
    let waiting = start_calls(&main, 30);
    let parked = || supervisor.statistics().databases["main"].pool.parked;
    eventually_async(SOON, "they are parked", || parked() == 30).await;
    let report = supervisor.shutdown(Duration::from_millis(100)).await;
    assert_eq!((report.completed, report.unfinished), (0, 30));
    for call in waiting {
        let error = call.await.expect("task").expect_err("no server");
        assert!(matches!(error, Error::ShuttingDown { .. }), "{error}");
        assert_eq!(error.execution(), Execution::NotSent, "{error}");
    }
    server.restart();
    assert_nothing_left(&server, turn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_refuses_waiting_callers_and_closes_kept_leases_after_the_grace() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    let (supervisor, main) = spawn_lender(&server).await;
    let kept = main.lease().await.expect("a lease");
    let mut used = main.lease().await.expect("another");
    let waiting = tokio::spawn(main.with_timeout(SOON).lease());
    let pool = || supervisor.statistics().databases["main"].pool.clone();
    eventually_async(SOON, "there is no third", || pool().waiting == 1).await;
    let blocked = tokio::spawn(async move {
        let pop = cmd("BLPOP").arg("nothing").arg(0).take();
        used.query::<()>(pop).await
    });
    let is_blocked = || server.info("clients")["blocked_clients"] == "1";
    eventually_async(SOON, "a command waits", is_blocked).await;

    let report = supervisor.shutdown(Duration::from_millis(300)).await;
    assert_eq!((report.completed, report.unfinished), (0, 1));
    let error = waiting.await.expect("task").expect_err("no more leases");
    assert!(matches!(error, Error::ShuttingDown { .. }), "{error}");
    assert_eq!(error.execution(), Execution::NotSent);
    let error = blocked.await.expect("task").expect_err("it was cut off");
    assert!(matches!(error, Error::ShuttingDown { .. }), "{error}");
    assert_eq!(error.execution(), Execution::Unknown);
    let mut kept = kept;
    assert_eq!(sockets_to(server.port()), 0, "the kept lease has no socket");
    let error = kept.query::<()>(cmd("PING")).await.expect_err("it is over");
    assert!(matches!(error, Error::ShuttingDown { .. }), "{error}");
    assert_eq!(error.execution(), Execution::NotSent);
    assert_nothing_left(&server, turn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_ends_with_the_last_lease() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    let (supervisor, main) = spawn_lender(&server).await;
    let mut lease = main.lease().await.expect("a lease");
    let popping = tokio::spawn(async move {
        let pop = cmd("BLPOP").arg("list").arg(0).take();
        lease.query::<(String, String)>(pop).await
    });
    let is_blocked = || server.info("clients")["blocked_clients"] == "1";
    eventually_async(SOON, "a command waits", is_blocked).await;
    let shutdown = tokio::spawn({
        let supervisor = supervisor.clone();
        async move { supervisor.shutdown(Duration::MAX).await }
    });
    let is_closed = || {
        let error = futures_executor::block_on(main.query::<()>(cmd("PING")));
        matches!(error, Err(Error::ShuttingDown { .. }))
    };
    eventually_async(SOON, "the gate is closed", is_closed).await;
    assert!(!shutdown.is_finished());
    server.cli(&["RPUSH", "list", "value"]);
    let popped = popping.await.expect("task").expect("the pushed value");
    assert_eq!(popped, ("list".to_owned(), "value".to_owned()));
    // The lease was dropped with its task, long before the end of the grace.
    let report = shutdown.await.expect("shutdown");
    assert_eq!(report.unfinished, 0, "{report:?}");
    assert_nothing_left(&server, turn).await;
}

/// A database with two connections to lend, beside the shared one.
async fn spawn_lender(server: &RedisServer) -> (Supervisor, Database) {
    crate::common::spawn(DatabaseConfig::from_url(server.url()).max_connections(3)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_shutdowns_are_one() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    let (supervisor, _main) = spawn(&server).await;
    let all: Vec<_> = (0..16)
        .map(|_| {
            let supervisor = supervisor.clone();
            tokio::spawn(async move { supervisor.shutdown(SOON).await })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.expect("task").unfinished, 0);
    }
    let error = supervisor.ready(SOON).await.expect_err("it has stopped");
    assert!(error.to_string().contains("shut down"), "{error}");
    assert!(
        supervisor.subscribe().next().await.is_some(),
        "the last states stay readable"
    );
    assert_nothing_left(&server, turn).await;
}

fn start_calls(
    database: &Database,
    calls: usize,
) -> Vec<tokio::task::JoinHandle<Result<i64, Error>>> {
    (0..calls)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move { database.query(cmd("INCR").arg("n")).await })
        })
        .collect()
}
